"""`train`: from raw rows to a saved bundle."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise import bundle as bundles
from clickwise._version import __version__
from clickwise.bundle import Bundle, Provenance
from clickwise.calibration import Platt
from clickwise.config import require
from clickwise.data.cache import cache_folder, checkpoint_folder
from clickwise.data.dataset import EncodedPart
from clickwise.data.encode import prepare
from clickwise.data.open import located, open_source
from clickwise.data.prepared import Prepared
from clickwise.data.presets import PRESETS
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.source import Source
from clickwise.errors import ConfigError, DataError
from clickwise.evaluation import evaluate_blocks
from clickwise.features.inference import infer_schema
from clickwise.models import Ranker, build_model
from clickwise.pipeline.parts import scored_blocks
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.registry import models
from clickwise.run_config import RunConfig, run_config
from clickwise.schema import Schema
from clickwise.training import TrainingConfig, TrainingResult, alone_in, train_model


def train(
    data: Any,
    *,
    label: str | None = None,
    model: Any = None,
    out: str | Path | None = None,
    valid: Any = None,
    schema: Schema | Mapping[str, Any] | str | Path | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> Bundle:
    """Train a model on raw click logs: infer what the columns mean, fit features, encode, train, measure, save.

    A model that starts from another trained one (FNN from FM) has that one trained first, on the same rows.

    Args:
        data: a path, pattern or folder, `"duckdb:SELECT ..."`, any frame that speaks the Arrow C stream interface, a
            list of dicts or a dict of columns.
        label: the column that says click or no click.
        model: a model's name, `FILE:CLASS` for one of your own, a model's class, or its `Config`.
        out: folder to save the bundle to; None saves nothing.
        valid: validation data; None holds out a part of `data`, the last by time when a time column is known.
        schema: what is known of the columns; the rest is inferred.
        config: a TOML file, or the same as nested dicts: see `clickwise.run_config`.
        settings: such as `"training.epochs=3"`; they win over everything else.

    Raises:
        ConfigError: a key or value that is not allowed; no label, of a model that tells clicks from the rest.
        DataError: data that is missing or cannot be used; no rows to calibrate on.
        BundleError: `out` exists and is not a bundle.
    """
    progress = progress or default_progress()
    run = run_config(config, label=label, model=model, schema=schema, settings=settings)
    if out is not None:
        bundles.check_out(out)
    run = replace(run, data=located(run.data, data))  # a bundle says in full where its side tables are
    source = open_source(data, run.data, progress)
    resolved = resolve_schema(source, run, progress)
    _check_label(run, resolved)
    valid_source = None if valid is None else open_source(valid, run.data, progress)
    reading = run.data
    if out is not None and reading.quarantine is None:
        reading = replace(reading, quarantine=f"{out}.quarantine.jsonl")
    prepared = prepare(source, resolved, reading, valid=valid_source, progress=progress)
    ranker = build_model(run.model, prepared.pipeline.inputs, run.training.seed, prepared.base_rate)
    _check_calibration(run, ranker, prepared)
    if prepared.valid is None:
        progress.warn("no validation rows: the last weights are kept and nothing is measured")
    folder = _checkpoint_folder(run, resolved, prepared.summary.fingerprint, valid_source)
    with _checkpoints(folder, progress) as checkpoint:
        _pretrain(ranker, prepared, run.training, checkpoint, progress)
        result = train_model(ranker, prepared.train, prepared.valid, run.training, progress, checkpoint=checkpoint)
        calibrator = _calibrator(run, ranker, prepared, progress)
        provenance = _provenance(source, run, prepared, ranker, calibrator, result)
        bundle = Bundle(prepared.pipeline, ranker, provenance, calibrator, None if out is None else Path(out))
        if out is not None:
            bundle.save(out)
        if result.interrupted:
            goes_on = "" if checkpoint is None else "; the same call goes on from here"
            progress.warn(f"stopped by Ctrl-C: this is the best so far{goes_on}")
        elif checkpoint is not None:
            shutil.rmtree(checkpoint, ignore_errors=True)
    return bundle


def resolve_schema(source: Source, run: RunConfig, progress: Progress) -> Schema:
    """The declared schema, completed by inference from the first rows."""
    blocks, rows = [], 0
    unreadable = QuarantineFile(None)
    with closing(source.blocks(quarantine=unreadable)) as stream:
        for block in stream:
            blocks.append(block.data)
            rows += len(block)
            if rows >= run.data.sample_rows:
                break
    if not rows:
        unreadable.check(unreadable.count, 0.0)
        raise DataError("has no rows", file=source.name)
    sample = pa.Table.from_batches(blocks).slice(0, run.data.sample_rows)
    hints = PRESETS[run.data.format].schema if run.data.format in PRESETS else None
    inferred = infer_schema(sample, declared=run.schema, hints=hints, rows=source.estimated_rows())
    unread = inferred.unread()
    if unread is not None or run.schema.get("infer") is True or not run.schema.get("features"):
        progress.note(inferred.table())
    if unread is not None:
        progress.note(unread)
    for warning in inferred.warnings:
        progress.warn(warning)
    return inferred.schema


def _pretrain(
    ranker: Ranker,
    prepared: Prepared,
    config: TrainingConfig,
    checkpoint: Path | None,
    progress: Progress,
) -> None:
    """Train the model that `ranker` starts from, if there is one, as `ranker` will be but for epochs and groups.

    Its checkpoint stays until that of `ranker` goes, so that a run which goes on does not train it again.

    Raises:
        KeyboardInterrupt: Ctrl-C; the same call goes on from there.
    """
    wanted = ranker.pretraining()
    if wanted is None:
        return
    progress.note(f"pre-training {models.name_of(wanted.config)}, epochs: {wanted.epochs}")
    first = build_model(wanted.config, ranker.inputs, config.seed, prepared.base_rate)
    config = replace(config, epochs=wanted.epochs, groups=())
    folder = None if checkpoint is None else checkpoint / "pretraining"
    if train_model(first, prepared.train, prepared.valid, config, progress, checkpoint=folder).interrupted:
        raise KeyboardInterrupt
    ranker.start_from(first)


def _checkpoint_folder(run: RunConfig, schema: Schema, data: str | None, valid: Source | None) -> Path | None:
    """Where a run that was stopped goes on from: a folder named by its data and its whole config.

    None for data without a lasting identity.

    Args:
        data: fingerprint of the training data.
        valid: the source of the validation rows, if they have one of their own.
    """
    prints = [data, None if valid is None else valid.fingerprint()]
    if data is None or (valid is not None and prints[1] is None):
        return None
    code = type(run.model).__module__  # of a model in a file of the user's: another one for every content
    key = hashlib.sha256(json.dumps([prints, code, run.to_toml(schema)]).encode()).hexdigest()
    return checkpoint_folder(cache_folder(run.data.cache_dir)) / key


@contextmanager
def _checkpoints(folder: Path | None, progress: Progress) -> Iterator[Path | None]:
    """`folder`, for this run alone; None when there is none, or the same run goes on in another process."""
    if folder is None:
        yield None
        return
    with alone_in(folder) as alone:
        if not alone:
            progress.note("the same training runs already, and has the checkpoints: this one writes none")
        yield folder if alone else None


def _provenance(
    source: Source,
    run: RunConfig,
    prepared: Prepared,
    ranker: Ranker,
    calibrator: Platt | None,
    result: TrainingResult,
) -> Provenance:
    summary = prepared.summary
    reports = _reports(run, ranker, prepared, calibrator)
    return Provenance(
        data={
            "source": source.name,
            "fingerprint": summary.fingerprint,
            "rows_read": summary.rows_read,
            "parts": {name: asdict(part) for name, part in summary.parts.items()},
            "split": summary.split,
            "quarantined": summary.quarantined,
            "quarantine": summary.quarantine,
        },
        metrics=_metrics(reports, calibrator, result),
        measured={
            name: {key: report[key] for key in ("rows", "positives", "stderr", "reliability")}
            for name, report in reports.items()
        },
        training={
            "objective": run.training.objective or ranker.objective,
            "rows": result.rows_seen,
            "seconds": result.seconds,
            "interrupted": result.interrupted,
            "precision": result.precision,
            "batch_size": result.batch_size,
            "best_epoch": result.best_epoch,
            "parameters": sum(p.numel() for p in ranker.parameters()),
            **_first_order_weights(ranker),
        },
        config=run.to_toml(prepared.pipeline.schema),
        history=result.history,
        versions={
            "clickwise": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "pyarrow", "safetensors")},
        },
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _first_order_weights(ranker: Ranker) -> dict[str, dict[str, int]]:
    """How many of a model's first-order weights of ids are not zero; nothing for a model that has none."""
    weights = [table.weight[1:] for table in ranker.first_order_tables().values()]  # without padding
    if not weights:
        return {}
    not_zero = sum(int(weight.count_nonzero()) for weight in weights)
    return {"first_order_weights": {"total": sum(weight.numel() for weight in weights), "not_zero": not_zero}}


def _reports(run: RunConfig, ranker: Ranker, prepared: Prepared, calibrator: Platt | None) -> dict[str, dict[str, Any]]:
    """What was measured on each held-out part; nothing of a model that was trained for retrieval."""
    if not _gives_clicks(run, ranker):
        return {}
    held_out = {"valid": prepared.valid, "test": prepared.test}
    return {name: _report(ranker, calibrator, part) for name, part in held_out.items() if part is not None}


def _metrics(
    reports: Mapping[str, dict[str, Any]], calibrator: Platt | None, result: TrainingResult
) -> dict[str, dict[str, Any]]:
    """Metrics of each held-out part, those that training watched among them."""
    metrics = {name: report["metrics"] for name, report in reports.items()}
    watched = dict(result.best_metrics)
    if watched:
        measured = metrics.get("valid", {})
        metrics["valid"] = watched | measured if calibrator else measured | watched
    return metrics


def _gives_clicks(run: RunConfig, ranker: Ranker | type[Ranker]) -> bool:
    """Whether the logits are those of a click, and not scores for retrieval."""
    return (run.training.objective or ranker.objective) == "logistic"


def _report(ranker: Ranker, calibrator: Platt | None, part: EncodedPart) -> dict[str, Any]:
    blocks = scored_blocks(ranker, part)
    if calibrator is not None:
        blocks = (replace(block, logit=calibrator(block.logit)) for block in blocks)
    return evaluate_blocks(blocks, source="").to_data()


def _check_label(run: RunConfig, schema: Schema) -> None:
    if not schema.label and _gives_clicks(run, models.get(models.name_of(run.model))):
        problem = "is empty, so that every row is a click, and telling clicks from the rest needs rows without one"
        raise ConfigError("schema.label", f"{problem}; name the label, or train two_tower for retrieval")


def _check_calibration(run: RunConfig, ranker: Ranker, prepared: Prepared) -> None:
    """Say before the training what would make calibrating impossible after it."""
    if run.calibration.method == "none":
        return
    allowed = "'none': scores for retrieval are not probabilities; or training.objective = \"logistic\""
    require(_gives_clicks(run, ranker), "calibration.method", run.calibration.method, allowed)
    if prepared.valid is None:
        raise DataError("no validation rows to calibrate on", fix="set data.valid_fraction above 0, or give --valid")


def _calibrator(run: RunConfig, ranker: Ranker, prepared: Prepared, progress: Progress) -> Platt | None:
    if run.calibration.method == "none" or prepared.valid is None:
        return None
    blocks = list(scored_blocks(ranker, prepared.valid))
    logit, label = (np.concatenate([getattr(block, key) for block in blocks]) for key in ("logit", "label"))
    weights = [block.weight for block in blocks if block.weight is not None]
    calibrator = Platt.fit(logit, label, np.concatenate(weights) if weights else None)
    if calibrator is None:
        progress.warn("not calibrated: on the validation rows a higher logit does not mean more clicks")
    return calibrator
