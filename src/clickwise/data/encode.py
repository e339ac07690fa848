"""`prepare`: from raw rows to a fitted pipeline and encoded parts, in bounded memory, or straight from the cache.

Three passes over the source: (a) the times, when the split is by time; (b) fit the features, on training rows only,
and when there are crosses once more, to count the combinations of fitted features; (c) encode every part to a file. A
row that cannot be read is left out of all three alike.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clickwise.atomic import whole_folder
from clickwise.config import require
from clickwise.data.cache import Cache, Scratch, cache_folder, entry_key
from clickwise.data.config import DataConfig
from clickwise.data.dataset import row_dtype
from clickwise.data.labels import Targets, read_group, read_targets
from clickwise.data.last_out import LastRows, places
from clickwise.data.prepared import (
    FEATURES,
    QUARANTINE,
    PartSummary,
    Prepared,
    PrepareSummary,
    part_file,
    published_quarantine,
    read_prepared,
    with_summary,
    write_summary,
)
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block, Source
from clickwise.data.split import (
    PART_NAMES,
    TRAIN,
    VALID,
    EveryRowTrains,
    HashSplit,
    Split,
    TimeHistogram,
    TimeSplit,
    time_format,
)
from clickwise.errors import ClickwiseError, ConfigError, DataError, nearest
from clickwise.features.pipeline import CrossesFit, Encoded, FeaturePipeline, PipelineFit
from clickwise.features.timestamps import to_timestamps
from clickwise.features.transform import BadCell, BadCells
from clickwise.progress import Progress
from clickwise.schema import Schema

__all__ = ["PartSummary", "PrepareSummary", "Prepared", "prepare"]


def prepare(
    source: Source,
    schema: Schema,
    config: DataConfig,
    *,
    valid: Source | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Fit the features on the training rows and encode every row, or find both in the cache.

    Args:
        valid: rows to validate on; then none are held out of `source` for it, whatever `config.valid_fraction`.

    Raises:
        DataError: a missing column, too many unreadable rows, no rows or one class left to train on, a full disk.
            Nothing half-written stays.
        ConfigError: the schema does not fit the data.
    """
    job = _Job(source, valid, schema, config, progress or Progress(), time.perf_counter())
    weighted = schema.weight is not None
    cache = Cache(cache_folder(config.cache_dir))
    prints = [s.fingerprint() for s in (source, valid) if s]
    known = [p for p in prints if p is not None]
    if len(known) < len(prints):
        scratch = Scratch(cache.folder)
        with whole_folder(scratch.path) as folder:
            _build(job, folder, None)
        return _finished(job, read_prepared(scratch.path, weighted=weighted, keep=scratch), scratch.path, hit=False)
    key = entry_key([*known, "" if valid is None else "valid"], schema, config)
    entry = cache.find(key)
    if entry is not None:
        try:
            return _finished(job, read_prepared(entry, weighted=weighted), entry, hit=True)
        except (ClickwiseError, OSError, ValueError, KeyError):
            cache.remove(key)  # the sizes are right, the content is not
    with cache.building(key) as folder:
        _build(job, folder, known[0])
    entry = cache.folder / key
    return _finished(job, read_prepared(entry, weighted=weighted), entry, hit=False)


def _finished(job: _Job, prepared: Prepared, folder: Path, *, hit: bool) -> Prepared:
    """`prepared`, with what is known only now in its summary; tells the warnings."""
    quarantine = published_quarantine(job.config.quarantine, folder) if prepared.summary.quarantined else None
    for warning in prepared.summary.warnings:
        job.progress.warn(warning)
    seconds = time.perf_counter() - job.started
    return with_summary(prepared, seconds=seconds, cache_hit=hit, quarantine=quarantine)


class _Job(NamedTuple):
    """What every step of preparing needs."""

    source: Source
    valid: Source | None
    schema: Schema
    config: DataConfig
    progress: Progress
    started: float


class _Roles(NamedTuple):
    targets: Targets
    times: np.ndarray | None


def _build(job: _Job, folder: Path, fingerprint: str | None) -> None:
    """All passes; fills `folder`."""
    split, warnings = _choose_split(job)
    columns = _columns(job, split)
    pipeline = _fit(job, split, columns)
    pipeline.save(folder / FEATURES)
    summary = _encode(job, split, columns, pipeline, folder)
    words = split.in_words() + (f"; validation rows from {job.valid.name}" if job.valid else "")
    summary = dataclasses.replace(summary, split=words, warnings=tuple(warnings), fingerprint=fingerprint)
    write_summary(folder, summary)


def _choose_split(job: _Job) -> tuple[Split, list[str]]:
    """The split that the schema and the config ask for, after the pass over the times; warnings."""
    config, schema = job.config, job.schema
    if config.split == "leave_last_out":
        return _leave_last_out(job), []
    valid_fraction = 0.0 if job.valid else config.valid_fraction
    if not valid_fraction and not config.test_fraction:
        return EveryRowTrains(), []
    require(config.split != "time" or schema.time is not None, "data.split", "time", "a split by time with schema.time")
    if schema.time is None or config.split == "random":
        reason = "no time column" if schema.time is None else "as asked"
        return HashSplit(valid_fraction, config.test_fraction, config.split_seed, reason), []
    histogram = TimeHistogram()
    sieve = Sieve(QuarantineFile(None))
    _check_columns(job.source, [schema.time])
    for block in sieve.blocks(job.source, [schema.time], "read times", job.progress):
        histogram.update(sieve.read(block, lambda b: _times(b, schema))[2])
    sieve.check(config.max_bad_fraction)
    split = histogram.split(schema.time, valid_fraction, config.test_fraction)
    if split is None:
        few = f"too few different times in {schema.time!r} to split by"
        fallback = HashSplit(valid_fraction, config.test_fraction, config.split_seed, few)
        return fallback, [f"the rows are split {fallback.in_words()}"]
    uneven = any(got < asked / 2 or got > asked * 2 for asked, got in zip(split.asked, split.got, strict=True))
    return split, [f"the times are too coarse for the shares asked for: {split.in_words()}"] if uneven else []


def _leave_last_out(job: _Job) -> Split:
    """After a pass over users and times."""
    group, time_column = job.schema.group, job.schema.time
    if group is None:
        raise ConfigError("data.split", "leave_last_out needs to know the users: name their column by schema.group")
    columns = [group, *([time_column] if time_column else [])]
    _check_columns(job.source, columns)
    rows, sieve = LastRows(), Sieve(QuarantineFile(None))
    for block in sieve.blocks(job.source, columns, "read last rows", job.progress):
        _, block, times = sieve.read(
            block, lambda b: _times(b, job.schema) if time_column else np.zeros(len(b), np.int64)
        )
        rows.update(read_group(block.data.column(group)), times, places(block.file_index, block.row))
    sieve.check(job.config.max_bad_fraction)
    return rows.split(group, f"time ({time_column})" if time_column else "place", validate=job.valid is None)


def _fit(job: _Job, split: Split, columns: Sequence[str]) -> FeaturePipeline:
    """Pass (b): the pipeline, fitted on training rows only."""
    pipeline = _fitted(job, split, columns, "fit features", FeaturePipeline.fitting(job.schema, job.source.columns()))
    if job.schema.crosses:
        pipeline = _fitted(job, split, columns, "fit crosses", pipeline.crossing(job.schema))
    return pipeline


def _fitted(
    job: _Job, split: Split, columns: Sequence[str], stage: str, fit: PipelineFit | CrossesFit
) -> FeaturePipeline:
    """What `fit` makes of the training rows, in one pass over the source."""
    rows = positives = 0
    with QuarantineFile(job.config.quarantine) as quarantine:
        sieve = Sieve(quarantine)
        for block in sieve.blocks(job.source, columns, stage, job.progress):
            _, block, roles = sieve.read(block, lambda b: _roles(b, job.schema, split))
            chosen = split.parts(roles.times, block.file_index, block.row) == TRAIN
            # a missing value teaches nothing, and blanking the other rows costs less than copying these
            kept, _, _ = sieve.read(block.blank(chosen), lambda b: fit.update(b.data))
            rows += int(np.count_nonzero(chosen[kept]))
            positives += int(roles.targets.label[kept][chosen[kept]].sum())
        sieve.check(job.config.max_bad_fraction)
    _check_trainable(job, rows, positives, sieve)
    return fit.finish()


def _check_trainable(job: _Job, rows: int, positives: int, sieve: Sieve) -> None:
    label = job.schema.label
    if rows == 0:
        counts = f"{sieve.rows:,} rows were read and {sieve.quarantine.count:,} of them could not be used"
        raise DataError(f"no rows are left to train on: {counts}", file=job.source.name)
    if positives == 0 or (label and positives == rows):
        raise DataError(
            f"all {rows:,} training rows have the label {int(positives > 0)}: there is nothing to learn",
            file=job.source.name,
            column=label,
            fix="check schema.label, schema.positive and schema.threshold, or train on more rows",
        )


def _encode(job: _Job, split: Split, columns: Sequence[str], pipeline: FeaturePipeline, folder: Path) -> PrepareSummary:
    """Pass (c): a file of rows for each part, and the rows that could not be read."""
    counts = np.zeros((len(PART_NAMES), 2), np.int64)  # rows and positives
    with ExitStack() as files:
        outs = [files.enter_context(part_file(folder, name).open("wb")) for name in PART_NAMES]
        wanted = job.config.quarantine
        sieve = Sieve(files.enter_context(QuarantineFile(wanted or folder / QUARANTINE)))
        for block, fixed in _all_blocks(job, split, columns, sieve):
            _, block, roles = sieve.read(
                block, partial(_roles, schema=job.schema, split=split if fixed is None else None)
            )
            kept, block, encoded = sieve.read(block, lambda b: pipeline.encode(b.data))
            rows = _rows(encoded, roles.targets, kept, pipeline)
            part = np.full(len(block), fixed, np.uint8) if fixed is not None else _parts(split, block, roles, kept)
            whole = rows.view(np.dtype((np.void, rows.itemsize)))  # copied a row at a time, not a column
            for index, out in enumerate(outs):
                chosen = whole[part == index]
                if len(chosen):
                    out.write(chosen.view(np.uint8).data)
                    counts[index] += len(chosen), np.count_nonzero(chosen.view(rows.dtype)["label"])
        if wanted is None:
            sieve.quarantine.path = None  # the folder goes with a failed run: the message must not point into it
        sieve.check(job.config.max_bad_fraction)
        if wanted and sieve.quarantine.count:
            shutil.copyfile(wanted, folder / QUARANTINE)
    parts = {}
    for name, (rows_in, positives) in zip(PART_NAMES, counts.tolist(), strict=True):
        if rows_in:
            parts[name] = PartSummary(rows=rows_in, positives=positives)
        else:
            part_file(folder, name).unlink()
    return PrepareSummary(rows_read=sieve.rows, parts=parts, split="", quarantined=sieve.quarantine.count)


def _all_blocks(job: _Job, split: Split, columns: Sequence[str], sieve: Sieve) -> Iterator[tuple[Block, int | None]]:
    """The blocks of both sources, with the part that their rows all go to (None: the split says)."""
    for block in sieve.blocks(job.source, columns, "encode", job.progress):
        yield block, None
    if job.valid:
        valid_columns = _columns(job._replace(source=job.valid), None)
        for block in sieve.blocks(job.valid, valid_columns, "encode validation rows", job.progress):
            yield block, VALID


def _parts(split: Split, block: Block, roles: _Roles, kept: np.ndarray) -> np.ndarray:
    times = None if roles.times is None else roles.times[kept]
    return split.parts(times, block.file_index, block.row)


def _rows(encoded: Encoded, targets: Targets, kept: np.ndarray, pipeline: FeaturePipeline) -> np.ndarray:
    """Encoded rows [n] of `row_dtype`."""
    rows = np.empty(len(kept), row_dtype(pipeline.inputs))
    rows["sparse"], rows["dense"] = encoded.sparse, encoded.dense
    if encoded.slot_weight is not None:
        rows["slot_weight"] = encoded.slot_weight
    rows["label"], rows["weight"], rows["group"] = (values[kept] for values in targets)
    return rows


def _columns(job: _Job, split: Split | None) -> list[str]:
    """The columns that fitting and encoding read; checked to be there."""
    schema = job.schema
    roles = [schema.label, schema.weight, schema.group, schema.time if isinstance(split, TimeSplit) else None]
    columns = list(dict.fromkeys([*schema.columns(), *(role for role in roles if role)]))
    _check_columns(job.source, columns)
    return columns


def _check_columns(source: Source, columns: Sequence[str]) -> None:
    there = list(source.columns())
    for column in columns:
        if column not in there:
            listed = ", ".join(there[:40]) + (", ..." if len(there) > 40 else "")
            raise DataError(
                f"there is no such column{nearest(column, there)}; there are {listed}", file=source.name, column=column
            )


def _roles(block: Block, schema: Schema, split: Split | None) -> _Roles:
    """Targets, and times when the split needs them; raises `BadCells` with the bad cells of both."""
    targets, times = None, None
    bad: list[BadCell] = []
    try:
        targets = read_targets(block.data, schema)
    except BadCells as error:
        bad += error.cells
    try:
        times = _times(block, schema) if isinstance(split, TimeSplit) else None
    except BadCells as error:
        bad += error.cells
    if targets is None or bad:
        raise BadCells(bad)
    return _Roles(targets, times)


def _times(block: Block, schema: Schema) -> np.ndarray:
    """The times of a block in microseconds.  [n] int64"""
    assert schema.time is not None
    try:
        times = to_timestamps(block.data.column(schema.time), time_format(schema))
    except BadCells as error:
        raise BadCells([cell._replace(column=schema.time) for cell in error.cells]) from None
    if times.null_count:
        missing = np.flatnonzero(times.is_null().to_numpy(zero_copy_only=False))
        raise BadCells([BadCell(int(i), schema.time, "", "the time is missing") for i in missing])
    return times.to_numpy(zero_copy_only=False).astype("datetime64[us]").astype(np.int64)
