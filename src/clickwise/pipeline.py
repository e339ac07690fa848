"""The Python API: a handful of functions that compose the rooms below. The command line calls nothing else."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise import bundle as bundles
from clickwise._version import __version__
from clickwise.bundle import Bundle, Provenance
from clickwise.bundle.files import verify
from clickwise.calibration import Platt
from clickwise.config import require
from clickwise.data.cache import cache_folder, checkpoint_folder
from clickwise.data.config import DataConfig
from clickwise.data.dataset import EncodedPart
from clickwise.data.encode import prepare
from clickwise.data.labels import read_targets, read_truth
from clickwise.data.open import open_source
from clickwise.data.prepared import Prepared
from clickwise.data.presets import PRESETS
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.simulator import SimulatorConfig, write_simulation
from clickwise.data.source import Block, Source
from clickwise.data.write import table_writer
from clickwise.errors import ConfigError, DataError
from clickwise.evaluation import EvaluationReport, ScoredBlock, ScoredRows, cross_gains, evaluate_blocks
from clickwise.features.inference import infer_schema
from clickwise.metrics import probability
from clickwise.metrics.logistic import LogisticSums
from clickwise.models import LR, Ranker, build_model
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.registry import models
from clickwise.run_config import RunConfig, run_config
from clickwise.schema import Schema
from clickwise.summaries import BundleSummary, CrossesSummary, PredictionSummary, TrainingSummary
from clickwise.training import TrainingConfig, TrainingResult, train_model

_VALIDATION_BATCH = 16_384
_MOST_ROWS = 1_000_000
_READING_KEYS = ("header", "names", "delimiter", "null_values", "strip")
PROBABILITY = "probability"
"""The column that `predict` adds."""


def simulate(
    out: str | Path, *, rows: int = 1_000_000, seed: int = 7, day: int = 0, progress: Progress | None = None
) -> Path:
    """Write a day of simulated ad traffic to a .parquet, .csv or .csv.gz file; returns its path.

    Raises:
        ConfigError: a size that is not positive, or another suffix.
        DataError: the file cannot be written.
    """
    write_simulation(SimulatorConfig(rows=rows, seed=seed, start_day=day), Path(out), progress or default_progress())
    return Path(out)


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
        ConfigError: a key or value that is not allowed.
        DataError: data that is missing or cannot be used; no rows to calibrate on.
        BundleError: `out` exists and is not a bundle.
    """
    progress = progress or default_progress()
    run = run_config(config, label=label, model=model, schema=schema, settings=settings)
    if out is not None:
        bundles.check_out(out)
    source = open_source(data, run.data, progress)
    resolved = resolve_schema(source, run, progress)
    valid_source = None if valid is None else open_source(valid, run.data, progress)
    reading = run.data
    if out is not None and reading.quarantine is None:
        reading = replace(reading, quarantine=f"{out}.quarantine.jsonl")
    prepared = prepare(source, resolved, reading, valid=valid_source, progress=progress)
    ranker = build_model(run.model, prepared.pipeline.inputs, run.training.seed, prepared.base_rate)
    _check_calibration(run, ranker, prepared)
    if prepared.valid is None:
        progress.warn("no validation rows: the last weights are kept and nothing is measured")
    checkpoint = _checkpoint_folder(run, resolved, (source, valid_source))
    _pretrain(ranker, prepared, run.training, checkpoint, progress)
    result = train_model(ranker, prepared.train, prepared.valid, run.training, progress, checkpoint=checkpoint)
    calibrator = _calibrator(run, ranker, prepared, progress)
    provenance = _provenance(source, run, prepared, ranker, calibrator, result)
    bundle = Bundle(prepared.pipeline, ranker, provenance, calibrator)
    if out is not None:
        bundle.save(out)
    if result.interrupted:
        progress.warn("stopped by Ctrl-C: this is the best so far; the same call goes on from here")
    elif checkpoint is not None:
        shutil.rmtree(checkpoint, ignore_errors=True)
    return bundle


def load(folder: str | Path, *, model: str | None = None) -> Bundle:
    """Open a saved bundle. Its files are checked, but of the weights only size and structure: see `inspect`.

    Args:
        model: `FILE:CLASS` of the model, when it was trained with one of your own: a bundle holds no code.

    Raises:
        BundleError: not a bundle, damaged, or of another format version.
        ConfigError: `model` is no such file or class, or the file does not run.
    """
    return bundles.load(folder, model=model)


def evaluate(
    bundle: Bundle | str | Path,
    data: Any,
    *,
    model: str | None = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> EvaluationReport:
    """Measure a bundle on labelled data, in one streaming pass.

    Args:
        model: as for `load`, when `bundle` is a folder.
        data: as for `train`; it is read as the training data was unless `settings` say otherwise.
        settings: such as `"data.format=csv"`.

    Raises:
        DataError: data that is missing or cannot be used; too many unreadable rows.
    """
    progress = progress or default_progress()
    bundle = bundle if isinstance(bundle, Bundle) else load(bundle, model=model)
    config = _reading_config(bundle, settings)
    source = open_source(data, config, progress)
    started, there = time.perf_counter(), source.columns()
    absent: dict[str, Any] = {role: None for role in ("group", "truth") if getattr(bundle.schema, role) not in there}
    schema = replace(bundle.schema, **absent)  # without them there is less to measure, and nothing wrong
    roles = (schema.label, schema.weight, schema.group, schema.truth)
    columns = list(dict.fromkeys([*schema.columns(), *(column for column in roles if column)]))

    def scored(block: Block, score: Callable[[Block], np.ndarray]) -> ScoredBlock:
        targets = read_targets(block.data, schema)
        truth = read_truth(block.data.column(schema.truth), schema.truth) if schema.truth else None
        logit = score(block)
        weight = targets.weight if schema.weight else None
        group = targets.group if schema.group else None
        return ScoredBlock(logit, targets.label, weight, group, truth)

    with QuarantineFile(config.quarantine) as quarantine:
        sieve = Sieve(quarantine)
        with closing(bundles.score_ahead(bundle, sieve.blocks(source, columns, "evaluate", progress))) as stream:
            blocks = (sieve.read(block, partial(scored, score=score))[2] for block, score in stream)
            report = evaluate_blocks(blocks, source=source.name)
        sieve.check(config.max_bad_fraction)
    return replace(report, quarantined=quarantine.count, seconds=time.perf_counter() - started)


def predict(
    bundle: Bundle | str | Path,
    data: Any,
    out: str | Path,
    *,
    model: str | None = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> PredictionSummary:
    """Score raw rows of any size and write them, with a column `probability`, to a .parquet, .csv or .csv.gz file.

    Rows that cannot be read are left out and go to a quarantine file beside `out`.

    Args:
        model: as for `load`, when `bundle` is a folder.

    Raises:
        DataError: data that is missing or cannot be used; too many unreadable rows. `out` is then not written.
    """
    progress = progress or default_progress()
    out, started = Path(out), time.perf_counter()
    bundle = bundle if isinstance(bundle, Bundle) else load(bundle, model=model)
    config = _reading_config(bundle, settings)
    source = open_source(data, config, progress)
    there = source.columns()
    if PROBABILITY in there:
        raise DataError("the data already has this column", file=source.name, column=PROBABILITY, fix="rename it")
    for column in bundle.schema.columns():
        if column not in there:
            raise DataError("the model needs this column and it is missing", file=source.name, column=column)
    layout = pa.schema([*there.items(), (PROBABILITY, pa.float64())])
    rows, total = 0, 0.0
    with (
        QuarantineFile(config.quarantine or f"{out}.quarantine.jsonl") as quarantine,
        table_writer(out, layout) as write,
    ):
        sieve = Sieve(quarantine)
        with closing(bundles.score_ahead(bundle, sieve.blocks(source, None, "predict", progress))) as stream:
            for block, score in stream:
                _, kept, logit = sieve.read(block, score)
                prob = probability(logit)
                write(pa.RecordBatch.from_arrays([*kept.data.columns, pa.array(prob)], schema=layout))
                rows, total = rows + len(kept), total + float(prob.sum())
        sieve.check(config.max_bad_fraction)
    return PredictionSummary(
        out=out,
        rows=rows,
        mean_probability=total / rows if rows else None,
        quarantined=quarantine.count,
        quarantine=str(quarantine.path) if quarantine.count else None,
        seconds=time.perf_counter() - started,
    )


def inspect(folder: str | Path) -> BundleSummary:
    """What a saved bundle is: model, features, data, metrics, files. Every checksum is checked, also of the weights.

    Raises:
        BundleError: not a bundle, damaged, or of another format version.
    """
    return BundleSummary(Path(folder), verify(Path(folder)))


def training_summary(folder: str | Path) -> TrainingSummary:
    """What the run that saved a bundle did.

    Raises:
        BundleError: not a bundle, damaged, or of another format version.
    """
    return TrainingSummary(verify(Path(folder), weights=False), Path(folder))


def suggest_crosses(
    data: Any,
    *,
    label: str | None = None,
    top: int = 10,
    config: str | Path | Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> CrossesSummary:
    """Measure what the cross of each pair of features would add to logistic regression, on the validation rows.

    The test part is not looked at. Of a part of more than a million rows, a random million is.

    Args:
        data, label, config, settings: as for `train`; `[model]` is not used.
        top: pairs to report.

    Raises:
        ConfigError: a key or value that is not allowed.
        DataError: data that is missing or cannot be used; no validation rows.
    """
    require(top >= 1, "top", top, "a whole number from 1")
    progress = progress or default_progress()
    run = run_config(config, label=label, settings=settings)
    source = open_source(data, run.data, progress)
    prepared = prepare(source, resolve_schema(source, run, progress), run.data, progress=progress)
    if prepared.valid is None:
        raise DataError("no validation rows", file=source.name, fix="set data.valid_fraction above 0")
    pipeline = prepared.pipeline
    base = build_model(LR.Config(), pipeline.inputs, run.training.seed, prepared.base_rate)
    train_model(base, prepared.train, prepared.valid, run.training, progress)
    train, valid = (_scored_rows(base, part, run.training.seed) for part in (prepared.train, prepared.valid))
    gains = cross_gains(train, valid, pipeline.inputs, [f.of for f in pipeline.schema.crosses], progress)
    names = {f.name for f in pipeline.schema.features}
    return CrossesSummary(
        source.name, LogisticSums.of(valid.logit, valid.label, valid.weight).log_loss, gains, names, top
    )


def first_rows(data: Any, count: int) -> list[dict[str, Any]]:
    """The first rows of any data, as dicts.

    Raises:
        DataError: data that is missing or cannot be read.
    """
    with closing(open_source(data, DataConfig(batch_rows=count)).blocks()) as stream:
        return list(islice((row for block in stream for row in block.data.to_pylist()), count))


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
    if not run.schema.get("features"):
        progress.note(inferred.table())
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


def _checkpoint_folder(run: RunConfig, schema: Schema, sources: Sequence[Source | None]) -> Path | None:
    """Where a run that was stopped goes on from: a folder named by its data and its whole config.

    None for data without a lasting identity.
    """
    prints = [None if source is None else source.fingerprint() for source in sources]
    if prints[0] is None or (sources[1] is not None and prints[1] is None):
        return None
    code = type(run.model).__module__  # of a model in a file of the user's: another one for every content
    key = hashlib.sha256(json.dumps([prints, code, run.to_toml(schema)]).encode()).hexdigest()
    return checkpoint_folder(cache_folder(run.data.cache_dir)) / key


def _reading_config(bundle: Bundle, settings: Sequence[str]) -> DataConfig:
    """How to read new data for a bundle: as its training data was read, unless `settings` say otherwise."""
    for setting in settings:
        if not setting.startswith("data."):
            raise ConfigError("--set", f"got {setting!r}, allowed here are keys of [data], such as data.format=csv")
    stored = tomllib.loads(bundle.provenance.config).get("data", {})
    kept = {key: stored[key] for key in _READING_KEYS if key in stored}
    if stored.get("format") in PRESETS:
        kept["format"] = stored["format"]
    return run_config({"data": kept}, settings=settings).data


def _provenance(
    source: Source,
    run: RunConfig,
    prepared: Prepared,
    ranker: Ranker,
    calibrator: Platt | None,
    result: TrainingResult,
) -> Provenance:
    summary = prepared.summary
    held_out = {"valid": prepared.valid, "test": prepared.test}
    metrics = {name: _part_metrics(ranker, calibrator, part) for name, part in held_out.items() if part is not None}
    if prepared.valid is not None:
        metrics["valid"] = (
            result.best_metrics | metrics["valid"] if calibrator else metrics["valid"] | result.best_metrics
        )
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
        metrics=metrics,
        training={
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


def _scored_rows(ranker: Ranker, part: EncodedPart, seed: int) -> ScoredRows:
    """The rows of a part with their logits; a random sample of a large part."""
    found = []
    batches = part.batches(_VALIDATION_BATCH, seed if len(part) > _MOST_ROWS else None)
    for batch in islice(batches, -(-_MOST_ROWS // _VALIDATION_BATCH)):
        assert batch.label is not None
        label = batch.label.numpy().astype(np.float64)
        weight = np.ones(len(batch)) if batch.weight is None else batch.weight.numpy().astype(np.float64)
        logit = bundles.batch_logits(ranker, batch).astype(np.float64)
        found.append((batch.sparse.numpy(), logit, label, weight))
    return ScoredRows(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _part_metrics(ranker: Ranker, calibrator: Platt | None, part: EncodedPart) -> dict[str, Any]:
    blocks = _scored_blocks(ranker, part)
    if calibrator is not None:
        blocks = (replace(block, logit=calibrator(block.logit)) for block in blocks)
    return evaluate_blocks(blocks, source="").to_data()["metrics"]


def _scored_blocks(ranker: Ranker, part: EncodedPart) -> Iterator[ScoredBlock]:
    """All rows of a part with the logits of the model itself."""
    for batch, label, weight, group in part.scored_batches(_VALIDATION_BATCH):
        logit = bundles.batch_logits(ranker, batch)
        yield ScoredBlock(logit, label, weight if part.weighted else None, group, None)


def _check_calibration(run: RunConfig, ranker: Ranker, prepared: Prepared) -> None:
    """Say before the training what would make calibrating impossible after it."""
    if run.calibration.method == "none":
        return
    objective = run.training.objective or ranker.objective
    allowed = "'none': scores for retrieval are not probabilities; or training.objective = \"logistic\""
    require(objective == "logistic", "calibration.method", run.calibration.method, allowed)
    if prepared.valid is None:
        raise DataError("no validation rows to calibrate on", fix="set data.valid_fraction above 0, or give --valid")


def _calibrator(run: RunConfig, ranker: Ranker, prepared: Prepared, progress: Progress) -> Platt | None:
    if run.calibration.method == "none" or prepared.valid is None:
        return None
    blocks = list(_scored_blocks(ranker, prepared.valid))
    logit, label = (np.concatenate([getattr(block, key) for block in blocks]) for key in ("logit", "label"))
    weights = [block.weight for block in blocks if block.weight is not None]
    calibrator = Platt.fit(logit, label, np.concatenate(weights) if weights else None)
    if calibrator is None:
        progress.warn("not calibrated: on the validation rows a higher logit does not mean more clicks")
    return calibrator
