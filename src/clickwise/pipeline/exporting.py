"""`export`: what a bundle becomes where there is no torch: a version to serve, or one ONNX file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from clickwise import bundle as bundles
from clickwise.atomic import whole_file, whole_folder
from clickwise.bundle import Bundle, files, graph
from clickwise.config import require, to_data
from clickwise.errors import BundleError
from clickwise.native import Tier, tier
from clickwise.pipeline.answers import check_file, check_version
from clickwise.pipeline.golden import golden_requests
from clickwise.pipeline.parity import parity
from clickwise.progress import Progress
from clickwise.sealed import name_of
from clickwise.serving import version
from clickwise.serving.engine.golden import golden_data
from clickwise.serving.version import Parts, Tower, TowerLayer, Vectors
from clickwise.summaries import ExportSummary

Format = Literal["serving", "onnx"]
_ROWS_AT_ONCE = 1 << 20


def export(
    bundle: str | Path,
    out: str | Path,
    *,
    format: str = "serving",
    model: str | None = None,
    bf16_data: Any = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> ExportSummary:
    """Write what a ranking bundle is outside training: with its features to serve, or its model alone.

    Args:
        bundle: folder of a saved bundle.
        out: "serving": the folder of the version; one that is there is replaced. "onnx": the file.
        format: "serving" is read by `clickwise serve` and by `clickwise.serving.engine`. "onnx" is one graph for plain
            ONNX Runtime, with the tables inside: from table rows `sparse` [B, S] int32, `dense` [B, N] float32 and
            `slot_weight` [B, S] float32, as far as the model reads them, to calibrated `logits` [B].
        model: as for `load`.
        bf16_data: labelled data, as for `evaluate`, on which the version has to rank as well when its linear layers
            multiply bf16: it may then, on processors that do. None: all is fp32.
        settings: how to read that data, as for `evaluate`.

    Raises:
        BundleError: the bundle is damaged or for retrieval, has weights that are no numbers, or a model that ONNX has
            no words for, or answers otherwise as ONNX, or does not rank as well in bf16; `out` is something else.
        ConfigError: no such format; or an ONNX file in bf16, which there is none of.
        DataError: as for `evaluate`.
        MissingExtraError: the exporter or ONNX Runtime, which is asked whether it answers as the model, is missing.
    """
    require(format in get_args(Format), "--format", format, " or ".join(get_args(Format)))
    if bf16_data is not None:
        require(format == "serving", "--bf16", "--format onnx", "a version: leave --format out")
        require(tier() is Tier.DENSE, "--bf16", "no kernels", "an installation with compiled kernels")
    folder, out = Path(bundle), Path(out)
    files.verify(folder)
    found = bundles.load(folder, model=model)
    try:
        found.check_probabilities()
        _check_finite(found)
        if format == "onnx":
            with whole_file(out) as file:
                graph.write_whole(found.model, found.calibrator, file)
                check_file(found, file)
            return ExportSummary(out, found.model_name, format)
        version.VERSION.check_out(out)
        with whole_folder(out) as new:
            parts = _write_parts(folder, found, new)
            version.VERSION.write(new, _manifest(folder, parts))
            check_version(found, new)
            if bf16_data is not None:
                parts = replace(parts, reduced=parity(found, new, bf16_data, settings, progress))
                version.VERSION.write(new, _manifest(folder, parts))
    except BundleError as error:
        raise BundleError(f"{folder}: {error}") from None
    gate = parts.reduced
    aucs = (gate.auc_fp32, gate.auc_bf16) if gate else (None, None)
    return ExportSummary(out, found.model_name, format, name_of(out), *aucs)


def _write_parts(folder: Path, bundle: Bundle, new: Path) -> Parts:
    """All files but the manifest."""
    shutil.copytree(folder / files.FEATURES, new / version.FEATURES)
    recorded = graph.write_graph(bundle.model, new / version.GRAPH)
    (new / version.TABLES).mkdir()
    tables = bundle.model.tables()
    names = {
        weight: f"{version.TABLES}/{place}.npy"
        for place, weight in enumerate(dict.fromkeys(x.weight for x in recorded.lookups))
    }
    for weight, name in names.items():
        np.save(new / name, tables[weight].weight.detach().numpy())
    vectors = [
        Vectors(
            name=each.name,
            table=names[each.weight],
            starts=each.pooling.vectors,
            means=each.pooling.means,
            weighted=each.pooling.weighted,
        )
        for each in recorded.lookups
    ]
    golden = []
    for request, rows in golden_requests(bundle.pipeline):
        golden.append(golden_data(request, bundle.logits(rows)))
    (new / version.GOLDEN).write_text(json.dumps(golden, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    return Parts(vectors=tuple(vectors), towers=tuple(_write_tower(each, new) for each in recorded.towers))


def _write_tower(tower: graph.TowerInput, new: Path) -> Tower:
    (new / version.TOWERS).mkdir(exist_ok=True)
    layers = []
    for place, layer in enumerate(tower.layers):
        assert layer.bias is not None
        name = f"{version.TOWERS}/{tower.name}_{place}"
        layers.append(TowerLayer(weight=f"{name}_weight.npy", bias=f"{name}_bias.npy", relu=layer.relu))
        np.save(new / layers[-1].weight, layer.weight.detach().numpy())
        np.save(new / layers[-1].bias, layer.bias.detach().numpy())
    return Tower(name=tower.name, vectors=tower.vectors, dense=tower.dense, layers=tuple(layers))


def _manifest(folder: Path, parts: Parts) -> dict[str, Any]:
    """What the bundle's manifest says of it, and what the graph is given."""
    known = files.verify(folder, weights=False)
    kept = ("created", "versions", "model", "calibrator", "data", "training", "metrics", "measured")
    return {**{key: known[key] for key in kept if key in known}, "graph": to_data(parts)}


def _check_finite(bundle: Bundle) -> None:
    for name, tensor in bundle.model.state_dict().items():
        for part in tensor.reshape(-1).split(_ROWS_AT_ONCE):
            if part.is_floating_point() and not part.isfinite().all():
                raise BundleError(f"its weights {name!r} hold what is no finite number; train it again, more slowly")
