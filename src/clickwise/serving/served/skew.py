"""`measure_skew`: what a version was given when it served, beside what it is given on training data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clickwise.data.config import DataConfig
from clickwise.data.labels import read_targets
from clickwise.data.open import open_source
from clickwise.data.plain import select
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.errors import DataError
from clickwise.features.pipeline import FeaturePipeline
from clickwise.metrics import probability
from clickwise.progress import Progress
from clickwise.schema import PADDING_ROW
from clickwise.serving import version as versions
from clickwise.serving.engine import Engine
from clickwise.serving.served import rows as served
from clickwise.serving.served.counts import IdCounts, NumberCounts
from clickwise.serving.served.report import VERDICTS, FeatureSkew, SkewReport

_READ = [served.IDS, served.NUMBERS, served.PROBABILITY, served.REQUEST]


class _Seen:
    """What a version was given on one side, counted."""

    def __init__(self, pipeline: FeaturePipeline) -> None:
        inputs = pipeline.inputs.base
        self._places = list(zip(inputs.slots(), inputs.offsets(), strict=True))
        nulls = [pa.nulls(1, pa.string()) for _ in pipeline.columns]
        missing = pipeline.encode(pa.RecordBatch.from_arrays(nulls, names=list(pipeline.columns))).dense[0]
        self.ids = {field.name: IdCounts(field.num_ids) for field in inputs.fields}
        self.numbers = {name: NumberCounts(float(missing[at])) for at, name in enumerate(inputs.dense)}
        self.rows, self.requests, self._probability = 0, 0, 0.0

    @property
    def mean_probability(self) -> float:
        return self._probability / max(self.rows, 1)

    def add(self, sparse: np.ndarray, dense: np.ndarray, probabilities: np.ndarray, requests: int) -> None:
        for (field, slots), first in self._places:
            at = sparse[:, slots]
            self.ids[field.name].add(np.where(at == PADDING_ROW, -1, at - np.int32(first)))
        for column, counts in enumerate(self.numbers.values()):
            counts.add(dense[:, column])
        self.rows, self.requests = self.rows + len(sparse), self.requests + requests
        self._probability += float(probabilities.sum())


def measure_skew(log: Path, version: Path, data: Any, config: DataConfig, progress: Progress) -> SkewReport:
    """Compare the requests that a server kept with training data, as a version encodes both.

    Args:
        log: folder of the files that `ServedLog` wrote; those of versions with other features are left out.
        version: folder of the version.
        data: that it was trained on, or later rows with all its columns; labels are read if they are there.

    Raises:
        BundleError: no such version, or damaged.
        DataError: no files of this version, or a damaged one; data that cannot be read.
    """
    digest = versions.features_digest(versions.VERSION.verify(version, read_all=False))
    pipeline, engine = FeaturePipeline.load(version / versions.FEATURES), Engine.open(version)
    online, offline = _Seen(pipeline), _Seen(pipeline)
    files, left_out = _files(log, digest)
    progress.start("read what was served")
    for path in files:
        for batch in _batches(path, pipeline):
            online.add(*batch)
            progress.advance(len(batch[0]))
    progress.finish()
    labels = _training(data, config, pipeline, engine, offline, progress)
    features = [_beside(name, offline.ids[name], online.ids[name], online.requests) for name in online.ids]
    features += [_beside(name, offline.numbers[name], online.numbers[name], online.requests) for name in online.numbers]
    return SkewReport(
        features=tuple(sorted(features, key=lambda each: (VERDICTS.index(each.verdict), -each.psi))),
        served_rows=online.rows,
        requests=online.requests,
        training_rows=offline.rows,
        served_probability=online.mean_probability,
        training_probability=offline.mean_probability,
        training_clicks=labels,
        files=len(files),
        files_left_out=left_out,
    )


def _files(log: Path, digest: str) -> tuple[list[Path], int]:
    """The files of these features, and how many are of others."""
    found = sorted(log.glob("served-*.parquet")) if log.is_dir() else []
    if not found:
        raise DataError(
            "there are no served requests", file=str(log), fix="serve with --set served_folder=FOLDER for a while"
        )
    own = [path for path in found if _about(path).get("features") == digest]
    if not own:
        problem = f"all {len(found)} files are of versions with other features than this one's"
        raise DataError(problem, file=str(log), fix="give the version that served")
    return own, len(found) - len(own)


def _about(path: Path) -> dict[str, Any]:
    try:
        told = json.loads((pq.read_schema(path).metadata or {}).get(served.ABOUT, b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot be read: {str(error).splitlines()[0]}", file=str(path), fix="remove it") from None
    return told if isinstance(told, dict) else {}


def _batches(path: Path, pipeline: FeaturePipeline) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    inputs = pipeline.inputs
    last = ""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=_READ):
                sparse, dense = (batch.column(name).flatten().to_numpy(zero_copy_only=False) for name in _READ[:2])
                ids = batch.column(served.REQUEST).to_pylist()
                requests = sum(a != b for a, b in zip([last, *ids], ids, strict=False))
                last = ids[-1] if ids else last
                count = batch.num_rows
                shaped = sparse.reshape(count, inputs.num_slots), dense.reshape(count, inputs.num_dense)
                yield *shaped, batch.column(served.PROBABILITY).to_numpy(), requests
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot be read: {str(error).splitlines()[0]}", file=str(path), fix="remove it") from None


def _training(
    data: Any, config: DataConfig, pipeline: FeaturePipeline, engine: Engine, seen: _Seen, progress: Progress
) -> float | None:
    """Count training data; the share of clicks, None where there is no label."""
    source = open_source(data, config, progress)
    there, schema, columns = source.columns(), pipeline.schema, list(pipeline.columns)
    roles = [name for name in (schema.label, schema.weight, schema.group) if name and name not in columns]
    labelled = bool(schema.label) and all(name in there for name in roles)
    clicks = 0.0
    with QuarantineFile(config.quarantine) as quarantine:
        sieve = Sieve(quarantine)
        with closing(sieve.blocks(source, columns + (roles if labelled else []), "read training", progress)) as blocks:
            for block in blocks:
                _, kept, rows = sieve.read(block, lambda block: pipeline.encode(select(block.data, columns)))
                seen.add(rows.sparse, rows.dense, probability(engine.logits(rows)), len(kept))
                clicks += float(read_targets(kept.data, schema).label.sum()) if labelled else 0.0
        sieve.check(config.max_bad_fraction)
    return clicks / max(seen.rows, 1) if labelled else None


def _beside(name: str, training: Any, online: Any, requests: int) -> FeatureSkew:
    many = isinstance(training, IdCounts)
    return FeatureSkew.of(
        name,
        *training.beside(online),
        rows=(training.rows, min(requests, online.rows)),
        missing=(training.missing, online.missing),
        out_of_vocabulary=(training.out_of_vocabulary, online.out_of_vocabulary) if many else None,
        quantiles=None if many else (tuple(training.quantiles()), tuple(online.quantiles())),
    )
