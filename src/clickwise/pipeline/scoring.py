"""What a bundle is used for: `evaluate` and `predict`."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise import bundle as bundles
from clickwise.bundle import Bundle
from clickwise.config import build
from clickwise.data.config import DataConfig
from clickwise.data.files import FileSource
from clickwise.data.join import JoinedSource
from clickwise.data.labels import read_targets, read_truth
from clickwise.data.open import open_source
from clickwise.data.presets import PRESETS
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block, Source
from clickwise.data.write import table_writer
from clickwise.errors import ConfigError, DataError
from clickwise.evaluation import EvaluationReport, ScoredBlock, evaluate_blocks
from clickwise.metrics import probability
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.run_config import run_config
from clickwise.summaries import PredictionSummary

_READING_KEYS = ("header", "names", "delimiter", "null_values", "strip")
PROBABILITY = "probability"
"""The column that `predict` adds."""


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
        data: as for `train`; it is read as the training data was unless `settings` say otherwise. Columns that it
            lacks come from the side tables of training.
        settings: such as `"data.format=csv"`.

    Raises:
        DataError: data that is missing or cannot be used; too many unreadable rows.
    """
    progress = progress or default_progress()
    bundle = bundle if isinstance(bundle, Bundle) else load(bundle, model=model)
    config = reading_config(bundle, settings)
    schema = bundle.schema
    roles = [role for role in (schema.label, schema.weight, schema.group, schema.truth) if role]
    source = scoring_source(bundle, data, config, [*schema.columns(), *roles], progress)
    started, there = time.perf_counter(), source.columns()
    absent: dict[str, Any] = {role: None for role in ("group", "truth") if getattr(bundle.schema, role) not in there}
    schema = replace(bundle.schema, **absent)  # without them there is less to measure, and nothing wrong
    read = (*schema.columns(), schema.label, schema.weight, schema.group, schema.truth)
    columns = list(dict.fromkeys(column for column in read if column))

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

    Columns of the model that the data lacks come from the side tables of training, and are not written. Rows that
    cannot be read are left out and go to a quarantine file beside `out`.

    Args:
        model: as for `load`, when `bundle` is a folder.

    Raises:
        DataError: data that is missing or cannot be used; too many unreadable rows; `out` is a file of the data. It is
            then not written.
        BundleError: the model was trained for retrieval.
    """
    progress = progress or default_progress()
    out, started = Path(out), time.perf_counter()
    bundle = bundle if isinstance(bundle, Bundle) else load(bundle, model=model)
    bundle.check_probabilities()
    config = reading_config(bundle, settings)
    source = scoring_source(bundle, data, config, bundle.schema.columns(), progress)
    there, log = source.columns(), source.log if isinstance(source, JoinedSource) else source
    _check_out(out, log)
    own = log.columns()
    if PROBABILITY in there:
        raise DataError("the data already has this column", file=source.name, column=PROBABILITY, fix="rename it")
    for column in bundle.schema.columns():
        if column not in there:
            raise DataError("the model needs this column and it is missing", file=source.name, column=column)
    layout = pa.schema([*own.items(), (PROBABILITY, pa.float64())])
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
                raw = [kept.data.column(name) for name in own]
                write(pa.RecordBatch.from_arrays([*raw, pa.array(prob)], schema=layout))
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


def _check_out(out: Path, source: Source) -> None:
    """Refuse to write over the rows that are read, by whatever path."""
    for file in source.files if isinstance(source, FileSource) else ():
        if out.exists() and out.samefile(file):
            raise DataError(
                "is read and would be written over, without its unreadable rows",
                file=str(out),
                fix="name another --out",
            )


def scoring_source(bundle: Bundle, data: Any, config: DataConfig, needed: Sequence[str], progress: Progress) -> Source:
    """Data to score, or to search for: what is needed of it and is not there comes from the side tables of training.

    So the raw rows of a log get what they got in training, and rows that have it already need no tables.

    Args:
        config: how to read the data; tables that it names take the place of those of training.
        needed: columns; some may be in no table either.

    Raises:
        DataError: data or a table that is missing or cannot be used.
    """
    tables = config.tables
    if not tables:
        stored = tomllib.loads(bundle.provenance.config).get("data", {})
        tables = build(DataConfig, {"tables": stored.get("tables", [])}, "data").tables
    return open_source(data, replace(config, tables=tables), progress, needed=needed)


def reading_config(bundle: Bundle, settings: Sequence[str]) -> DataConfig:
    """How to read new data for a bundle: as its training data was read, unless `settings` say otherwise."""
    for setting in settings:
        if not setting.startswith("data."):
            raise ConfigError("--set", f"got {setting!r}, allowed here are keys of [data], such as data.format=csv")
    stored = tomllib.loads(bundle.provenance.config).get("data", {})
    kept = {key: stored[key] for key in _READING_KEYS if key in stored}
    if stored.get("format") in (*PRESETS, "item_lists"):  # what no file's name or first line says
        kept["format"] = stored["format"]
    return run_config({"data": kept}, settings=settings).data
