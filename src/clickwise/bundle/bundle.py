"""`Bundle`: everything that turns a raw row into a click probability, in one folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.overrides import TorchFunctionMode

from clickwise.atomic import whole_folder
from clickwise.batch import Batch
from clickwise.bundle import files
from clickwise.bundle.weights import load_weights, save_weights
from clickwise.calibration import Platt, stored_calibrator
from clickwise.config import build, to_data
from clickwise.data.frames import rows_to_batch
from clickwise.errors import BundleError, ConfigError, clipped
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.features.schema_data import schema_to_data
from clickwise.features.schema_file import schema_to_toml
from clickwise.features.transform import BadCells
from clickwise.metrics import probability
from clickwise.models import Ranker, model_from_file
from clickwise.registry import is_file_model, models
from clickwise.schema import InputSpec, Schema

_BATCH_ROWS = 4096
"""Rows scored at once: few enough for their embeddings to stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a bundle remembers of how it was made, as JSON-ready data.

    Args:
        data: where the rows came from: source, fingerprint, rows, parts, split in words.
        metrics: part of the data ("valid", "test") -> metric -> value.
        measured: part of the data -> its rows and positives, standard errors of its metrics, and bins of reliability.
        training: epochs, steps, seconds, whether it was interrupted.
        config: the whole config of the run, as `clickwise train --config` takes it (in TOML).
        history: one entry a validation.
        versions: clickwise, Python and libraries.
        created: UTC, ISO 8601.
    """

    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    config: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Bundle:
    """A fitted feature pipeline, a trained model and perhaps a calibrator: raw rows in, probabilities out.

    >>> bundle = load("runs/today")                                    # doctest: +SKIP
    >>> bundle.predict([{"user_id": "u1", "site_id": "s9", "hour": 13}])  # doctest: +SKIP
    array([0.0312])

    Args:
        folder: where it was saved to or opened from; None: nowhere yet.
    """

    pipeline: FeaturePipeline
    model: Ranker
    provenance: Provenance
    calibrator: Platt | None = None
    folder: Path | None = None

    def __repr__(self) -> str:
        told = [type(self.model).__name__]
        if rows := self.provenance.training.get("rows"):
            told.append(f"trained on {rows:,} rows")
        for part in ("test", "valid"):
            if (auc := self.provenance.metrics.get(part, {}).get("roc_auc")) is not None:
                told.append(f"{part} AUC {auc:.4f}")
                break
        return f"<Bundle: {', '.join(told)}{f', in {self.folder}' if self.folder else ''}>"

    @property
    def schema(self) -> Schema:
        """What the columns of the raw rows mean."""
        return self.pipeline.schema

    @property
    def model_name(self) -> str:
        """The registered name of the model."""
        return models.name_of(type(self.model))

    @property
    def for_retrieval(self) -> bool:
        """Whether the model was trained to find items, so that its logits are scores and no log-odds of a click."""
        return str(self.provenance.training.get("objective", "logistic")) != "logistic"

    def predict(self, rows: Any) -> np.ndarray:
        """Click probabilities [n] float64 of raw rows.

        Args:
            rows: a list of dicts, a dict of columns, or anything that speaks the Arrow C stream interface. Columns that
                the model does not use are ignored; the label is not needed.

        Raises:
            DataError: a column is missing, or a cell cannot be read; names row (from 1), column and value.
            BundleError: the model was trained for retrieval, or a logit is not finite.
        """
        self.check_probabilities()
        return probability(self.logits(rows))

    def check_probabilities(self) -> None:
        """Refuse a model whose logits are no log-odds of a click.

        Raises:
            BundleError: the model was trained for retrieval.
        """
        if self.for_retrieval:
            raise BundleError(
                f"its {self.model_name} was trained for retrieval and gives scores, no probabilities of a click; "
                '`clickwise index` and `clickwise recommend` use it, or train with training.objective = "logistic"'
            )

    def logits(self, rows: Any) -> np.ndarray:
        """Logits [n] float32 of raw rows; see `predict`."""
        data = rows_to_batch(rows, self.schema.columns())
        try:
            return self.score(data)
        except BadCells as bad:
            raise bad.of_rows() from None

    def score(self, data: pa.RecordBatch) -> np.ndarray:
        """Logits [n] float32, calibrated if a calibrator is there, of an Arrow batch that has the scoring columns.

        Raises:
            BadCells: cells that cannot be read, all of them.
            BundleError: a logit is not finite.
        """
        logits = np.empty(data.num_rows, np.float32)
        for part, batch in batches_of(self.pipeline.encode(data)):
            logits[part] = batch_logits(self.model, batch)
        if not (finite := np.isfinite(logits)).all():
            raise BundleError(
                f"its {self.model_name} gives {logits[~finite][0]} for {np.count_nonzero(~finite):,} of "
                f"{len(logits):,} rows; its weights are damaged (`clickwise inspect {self.folder or 'FOLDER'}` checks "
                "every byte), or a number in the rows is far beyond those of training"
            )
        return self.calibrator(logits) if self.calibrator else logits

    def save(self, folder: str | Path) -> None:
        """Write the bundle to `folder`, whole or not at all; an older bundle there is replaced.

        Raises:
            BundleError: `folder` exists and is not a bundle.
            DataError: the disk is full or the folder cannot be written to.
        """
        check_out(folder)
        with whole_folder(Path(folder)) as new:
            (new / files.FEATURES).mkdir()
            self.pipeline.save(new / files.FEATURES)
            save_weights(self.model, new / files.WEIGHTS)
            (new / files.SCHEMA).write_text(schema_to_toml(self.schema), encoding="utf-8")
            (new / files.CONFIG).write_text(self.provenance.config, encoding="utf-8")
            lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in self.provenance.history)
            (new / files.HISTORY).write_text("".join(lines), encoding="utf-8")
            files.seal(new, self._manifest())

    def _manifest(self) -> dict[str, Any]:
        made = self.provenance
        return {
            "created": made.created,
            "versions": made.versions,
            "model": {"name": self.model_name, "config": to_data(self.model.config)},
            **_features_data(self.pipeline),
            **({"calibrator": {"method": "platt", **to_data(self.calibrator)}} if self.calibrator else {}),
            "data": made.data,
            "training": made.training,
            "metrics": made.metrics,
            "measured": made.measured,
        }


def load(folder: str | Path, *, model: str | None = None) -> Bundle:
    """Open a saved bundle, in a time that does not grow with its tables (but with what is not zero in sparse ones).

    Every file is checked against its size and checksum before it is read, except for the weights: of those, size,
    names, types and shapes are checked, and their pages stay in the file, mapped, until a row needs them; processes on
    one machine share them. Whether their contents are as they were written is for `clickwise inspect` to say.

    Args:
        model: `FILE:CLASS` of the user's own model that the bundle was trained with. A bundle holds no code and opening
            it runs none but this file.

    Raises:
        BundleError: not a bundle, damaged, of another format version, or with a model this process does not know.
        ConfigError: `model` is no such file or class, or the file does not run.
    """
    folder = Path(folder)
    manifest = files.verify(folder, weights=False)
    pipeline = FeaturePipeline.load(folder / files.FEATURES)
    if any(manifest.get(key) != value for key, value in _features_data(pipeline).items()):
        raise BundleError(f"{folder}: the features do not belong to this model; the bundle is damaged")
    ranker = _build_model(folder, manifest.get("model"), pipeline.inputs, model)
    load_weights(folder / files.WEIGHTS, ranker)
    history = (folder / files.HISTORY).read_text(encoding="utf-8").splitlines()
    provenance = Provenance(
        data=manifest.get("data", {}),
        metrics=manifest.get("metrics", {}),
        measured=manifest.get("measured", {}),
        training=manifest.get("training", {}),
        config=(folder / files.CONFIG).read_text(encoding="utf-8"),
        history=[json.loads(line) for line in history],
        versions=manifest.get("versions", {}),
        created=manifest.get("created", ""),
    )
    return Bundle(pipeline, ranker.eval(), provenance, stored_calibrator(folder, manifest.get("calibrator")), folder)


def check_out(folder: str | Path) -> None:
    """Refuse to write a bundle over something that is not one.

    Raises:
        BundleError: `folder` is a file, or a non-empty folder without a manifest.
    """
    files.BUNDLE.check_out(Path(folder))


def batches_of(encoded: Encoded) -> Iterator[tuple[slice, Batch]]:
    """Encoded rows in batches that stay in the processor's cache, each with which rows it has."""
    for start in range(0, len(encoded.sparse), _BATCH_ROWS):
        part = slice(start, start + _BATCH_ROWS)
        yield part, Batch.of(*encoded.take(part))


def batch_logits(model: Ranker, batch: Batch) -> np.ndarray:
    """Logits [B] float32 of one batch, in evaluation mode and without gradients."""
    if model.training:  # going through all its parts takes longer than some of them
        model.eval()
    with torch.inference_mode():
        return model(batch).numpy()


class _NoDraws(TorchFunctionMode):
    """Leaves out random initial values, of which there are none without memory: on the meta device, torch would load
    its compiler only to draw nothing, which takes longer than all else that opening does."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "").endswith(("normal_", "uniform_")):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _build_model(folder: Path, entry: Any, inputs: InputSpec, file: str | None) -> Ranker:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise BundleError(f"{folder}: the manifest names no model; the bundle is damaged")
    name = entry["name"]
    if file is not None and (given := model_from_file(file)) != name:
        raise BundleError(f"{folder}: was trained with {clipped(name)}, and the model given is {given!r}")
    if is_file_model(name) and name not in models:
        raise BundleError(
            f"{folder}: its model is {clipped(name)}, a file that no bundle holds; say where it is: "
            "--model FILE:CLASS, or load(folder, model='FILE:CLASS') in Python; to serve or publish it, give "
            f"the version that `clickwise export {folder} --model FILE:CLASS --out VERSION` makes"
        )
    try:
        model_class = models.get(name)
        config = build(model_class.Config, entry.get("config", {}), "model")
    except ConfigError as error:
        raise BundleError(f"{folder}: {error}") from None
    with torch.random.fork_rng(devices=[]):
        if not model_class.__module__.startswith("clickwise."):
            return model_class(config, inputs)  # it may make tensors that no file of weights holds, and read them
        with torch.device("meta"), _NoDraws():
            return model_class(config, inputs)


def _features_data(pipeline: FeaturePipeline) -> dict[str, Any]:
    """What the manifest says of the features: the schema, and the inputs that the model was built for."""
    inputs = pipeline.inputs
    fields = [dataclasses.asdict(f) for f in inputs.fields]
    newer = ("cross", "shares")  # left out where they say nothing, as old bundles do
    fields = [{key: value for key, value in f.items() if key not in newer or value} for f in fields]
    described = {"fields": fields, "dense": list(inputs.dense)}
    return {
        "schema": schema_to_data(pipeline.schema),
        "inputs": described | ({"item": list(inputs.item)} if inputs.item else {}),
    }
