"""`load_features`: rows of raw columns into a store, as a version encodes them."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.plain import select
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block
from clickwise.errors import DataError, nearest
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCell, BadCells
from clickwise.progress import Progress
from clickwise.serving import version as versions
from clickwise.serving.features.entity import MAX_KEY_BYTES, Entity
from clickwise.serving.features.layout import layouts_of
from clickwise.serving.features.opening import open_loader

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What was loaded.

    Args:
        rows: that were loaded; the last of a key counts.
        quarantined: rows that could not be read; they are in the file `quarantine`.
        record_bytes: of each value.
    """

    entity: str
    place: str
    features: tuple[str, ...]
    rows: int
    quarantined: int
    quarantine: str | None
    record_bytes: int
    seconds: float

    def to_data(self) -> dict[str, Any]:
        """JSON-ready."""
        names = ("entity", "place", "rows", "quarantined", "quarantine", "record_bytes", "seconds")
        return {**{name: getattr(self, name) for name in names}, "features": list(self.features)}

    def __str__(self) -> str:
        bad = f"\n{self.quarantined:,} rows could not be read: {self.quarantine}" if self.quarantined else ""
        rate = self.rows / max(self.seconds, 1e-9)
        return (
            f"{self.place}: {self.rows:,} rows of the entity {self.entity!r}, {self.record_bytes} bytes each, "
            f"{rate:,.0f} rows/s\nfeatures: {', '.join(self.features)}{bad}"
        )


def load_features(
    data: Any,
    entity: Entity,
    version: Path,
    place: str,
    config: DataConfig,
    progress: Progress,
) -> LoadSummary:
    """Encode the rows of `data` and put them into the store at `place`, for one version to find.

    Args:
        data: as for training, with the entity's key and the columns of it that the version reads.
        version: folder of the version.
        place: see `Entity.store`; entities that are not in `data` keep what they have, except in a snapshot.

    Raises:
        BundleError: no such version, or it is damaged.
        DataError: data that is missing or cannot be used; too many unreadable rows; a store that cannot be written to.
        ConfigError: the version reads nothing of the entity, or the place is of no known kind.
    """
    started = time.perf_counter()
    manifest = versions.VERSION.verify(version, read_all=False)
    pipeline = FeaturePipeline.load(version / versions.FEATURES)
    found = layouts_of([entity], pipeline, versions.features_digest(manifest))
    if not found:
        problem = f"the version reads none of {', '.join(entity.columns)}"
        raise DataError(problem, file=str(version), fix=f"it reads {', '.join(pipeline.columns)}")
    layout, loader = found[0], open_loader(place)
    source = open_source(data, config, progress)
    there = list(source.columns())
    for column in (entity.key, *layout.columns):
        if column not in there:
            problem = f"there is no such column{nearest(column, there)}"
            raise DataError(problem, file=source.name, column=column, fix="it is a column of the entity")
    rows = 0
    path = config.quarantine or f"{entity.name}.quarantine.jsonl"
    with QuarantineFile(path) as quarantine, loader.loading(layout) as writer:
        sieve = Sieve(quarantine)
        blocks = sieve.blocks(source, [entity.key, *layout.columns], f"load {entity.name}", progress)
        with closing(blocks) as stream:
            for block in stream:
                _, _, read = sieve.read(block, lambda block: _read(block, entity.key, layout.part))
                now = time.time()
                for start in range(0, len(read.keys), _ROWS_AT_ONCE):
                    at = slice(start, start + _ROWS_AT_ONCE)
                    writer.write(read.keys[at], layout.pack(read.keys[at], read.encoded.take(at), now))
                rows += len(read.keys)
        sieve.check(config.max_bad_fraction)
    return LoadSummary(
        entity=entity.name,
        place=loader.place,
        features=layout.names,
        rows=rows,
        quarantined=quarantine.count,
        quarantine=str(path) if quarantine.count else None,
        record_bytes=layout.dtype.itemsize,
        seconds=time.perf_counter() - started,
    )


class _Read(NamedTuple):
    """Keys [n] as text, and the entity's part of the rows."""

    keys: pa.Array
    encoded: Encoded


def _read(block: Block, key: str, part: FeaturePipeline) -> _Read:
    """Raises `BadCells` of keys that are none, and of what the features cannot read."""
    bad: list[BadCell] = []
    try:
        tokens = to_tokens(block.data.column(key), MAX_KEY_BYTES)
        missing = np.flatnonzero(tokens.indices.is_null().to_numpy(zero_copy_only=False))
        bad += [BadCell(int(place), key, "", "is empty, and is the key") for place in missing]
    except BadCells as error:
        bad += [cell._replace(column=key) for cell in error.cells]
    try:
        encoded = part.encode(select(block.data, part.columns))
    except BadCells as error:
        bad += error.cells
    if bad:
        raise BadCells(bad)
    return _Read(tokens.dictionary_decode(), encoded)
