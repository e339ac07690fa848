"""`Layout`: the encoded part of a row that one entity gives, as a record of fixed size.

A record, little-endian:

  magic    4 bytes  "CWF1": the layout's version
  size     uint32   bytes of the record
  check    uint64   XXH64 of all that follows
  stamp    uint64   of the features that encoded it
  key      uint64   XXH64 of the key it belongs to
  written  float64  when it was loaded, Unix time
  sparse   int32    [S] table rows
  dense    float32  [N]
  weight   float32  [S] slot weights, where some field of the model is weighted
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.features.xxh64 import xxh64
from clickwise.schema import PADDING_ROW, columns_of
from clickwise.serving.features.entity import Entity

MAGIC = b"CWF1"
KEY_SEED = 0
_CHECKED_FROM = 16  # bytes before what `check` is of


class Found(NamedTuple):
    """What a store knows of n keys.

    Args:
        rows: the entity's part of each row; all missing where the key is not known.
        known: [n] bool.
        written_s: [n] float64, when the value was loaded, Unix time; NaN where the key is not known.
        refused: values that were there and could not be used: damaged, or encoded by other features.
        reached: the store answered in time; else all keys count as unknown.
    """

    rows: Encoded
    known: np.ndarray
    written_s: np.ndarray
    refused: int = 0
    reached: bool = True


class Layout:
    """What one entity gives to the rows of one version.

    Args:
        entity: whose columns these are.
        pipeline: of the version.
        digest: of the files of the pipeline.

    Attributes:
        columns: the raw columns that are encoded.
        names: of the features that read no others.
        slots: of a whole row that they fill.
        numbers: columns of `Encoded.dense` that they fill.
        stamp: 8 bytes that no other features have.
        dtype: of a record.

    Raises:
        ConfigError: the entity has a column of values without that of their weights.
    """

    def __init__(self, entity: Entity, pipeline: FeaturePipeline, digest: str) -> None:
        base = pipeline.inputs.base
        self.entity, self.columns_of = entity, _columns_of(entity, pipeline)
        self.part = pipeline.part(base.part(self.columns_of))
        inputs = self.part.inputs
        self.columns = self.part.columns
        self.names = (*(field.name for field in inputs.fields), *inputs.dense)
        self.slots, self.numbers = base.places(inputs)
        told = [entity.name, entity.key, list(self.names), digest]
        self.stamp = hashlib.sha256(json.dumps(told).encode()).digest()[:8]
        weights = inputs.num_slots if inputs.weighted else 0
        self.dtype = np.dtype(
            [
                *(("magic", "S4"), ("size", "<u4"), ("check", "<u8"), ("stamp", "<u8"), ("key", "<u8")),
                *(("written", "<f8"), ("sparse", "<i4", (inputs.num_slots,))),
                *(("dense", "<f4", (inputs.num_dense,)), ("weight", "<f4", (weights,))),
            ]
        )
        self._stamp = np.frombuffer(self.stamp, "<u8")[0]
        self._lowest, self._highest = _row_ranges(self.part)
        columns = [pa.nulls(1, pa.string()) for _ in self.columns]
        self._missing = self.part.encode(pa.RecordBatch.from_arrays(columns, names=list(self.columns)))

    def pack(self, keys: pa.Array, encoded: Encoded, written_s: float) -> np.ndarray:
        """Records [n] of the entity's part of n rows.

        Args:
            keys: [n] text.
            encoded: what `part` gives.
            written_s: Unix time.
        """
        records = np.zeros(len(keys), self.dtype)
        records["magic"], records["size"], records["stamp"] = MAGIC, self.dtype.itemsize, self._stamp
        records["key"], records["written"] = xxh64(keys, KEY_SEED), written_s
        records["sparse"], records["dense"] = encoded.sparse, encoded.dense
        if encoded.slot_weight is not None:
            records["weight"] = encoded.slot_weight
        records["check"] = _checks(records)
        return records

    def unpack(self, keys: pa.Array, at: Sequence[int] | np.ndarray, records: np.ndarray, refused: int = 0) -> Found:
        """What records [m] say of the keys [n] at the places `at` [m], each record checked before it is believed.

        Args:
            refused: values that could not even be taken for records.
        """
        at = np.asarray(at, np.intp)
        good = self._good(records, xxh64(keys, KEY_SEED)[at])
        if not good.all():
            at, records = at[good], records[good]
        known = np.zeros(len(keys), bool)
        known[at] = True
        written = np.full(len(keys), np.nan)
        written[at] = records["written"]
        rows = self._all_missing(len(keys))
        rows.sparse[at], rows.dense[at] = records["sparse"], records["dense"]
        if rows.slot_weight is not None:
            rows.slot_weight[at] = records["weight"]
        return Found(rows, known, written, refused + int((~good).sum()))

    def unpack_bytes(self, keys: pa.Array, values: Sequence[bytes | memoryview | None]) -> Found:
        """The same of values [n], one a key; None: there is none."""
        size = self.dtype.itemsize
        at = [place for place, value in enumerate(values) if value is not None and len(value) == size]
        refused = sum(value is not None for value in values) - len(at)
        joined = b"".join(values[place] for place in at)  # type: ignore[misc]
        return self.unpack(keys, at, np.frombuffer(joined, self.dtype), refused)

    def nothing(self, count: int, *, reached: bool = True) -> Found:
        """What is known of keys that are unknown."""
        return Found(self._all_missing(count), np.zeros(count, bool), np.full(count, np.nan), reached=reached)

    def forget(self, found: Found, which: np.ndarray) -> Found:
        """The same, the keys at `which` [n] bool unknown."""
        rows = Encoded(*(_blanked(part, which, none) for part, none in zip(found.rows, self._missing, strict=True)))  # type: ignore[arg-type]
        written = np.where(which, np.nan, found.written_s)
        return found._replace(rows=rows, known=found.known & ~which, written_s=written)

    def _good(self, records: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Which records are whole, of these features and of these keys, and lead to rows that there are."""
        head = (records["magic"] == MAGIC) & (records["size"] == self.dtype.itemsize)
        own = (records["stamp"] == self._stamp) & (records["key"] == keys)
        whole = records["check"] == _checks(records)
        sparse = records["sparse"]
        inside = (sparse == PADDING_ROW) | ((sparse >= self._lowest) & (sparse < self._highest))
        finite = np.isfinite(records["dense"]).all(1) & np.isfinite(records["weight"]).all(1)
        return head & own & whole & inside.all(1) & finite

    def _all_missing(self, count: int) -> Encoded:
        none = self._missing
        weight = None if none.slot_weight is None else np.repeat(none.slot_weight, count, 0)
        return Encoded(np.repeat(none.sparse, count, 0), np.repeat(none.dense, count, 0), weight)


def layouts_of(entities: Sequence[Entity], pipeline: FeaturePipeline, digest: str) -> list[Layout]:
    """Layouts of the entities that the features of a version read something of.

    Raises:
        ConfigError: see `Layout`.
    """
    return [Layout(each, pipeline, digest) for each in entities if set(each.columns) & set(pipeline.columns)]


def _columns_of(entity: Entity, pipeline: FeaturePipeline) -> dict[str, set[str]]:
    """The raw columns of each feature that reads the entity's."""
    found: dict[str, set[str]] = {}
    for feature in pipeline.schema.features:
        read = set(columns_of((feature,)))
        if read & set(entity.columns):
            both = f"both of {', '.join(sorted(read))}: the feature {feature.name!r} reads them together"
            require(read <= set(entity.columns), f"entities.{entity.name}.columns", entity.columns, both)
            found[feature.name] = read
    return found


def _row_ranges(part: FeaturePipeline) -> tuple[np.ndarray, np.ndarray]:
    """First table row of each slot's field [S], and the first behind its last."""
    fields, starts = part.inputs.fields, part.inputs.offsets()
    lengths = [field.length for field in fields]
    first = np.repeat(np.array(starts, np.int64), lengths)
    return first, first + np.repeat(np.array([field.num_ids for field in fields], np.int64), lengths)


def _checks(records: np.ndarray) -> np.ndarray:
    """What `check` has to be, of each record: [n] uint64."""
    count, size = len(records), records.dtype.itemsize - _CHECKED_FROM
    raw = np.frombuffer(np.ascontiguousarray(records).data, np.uint8).reshape(count, -1) if count else np.zeros((0, 0))
    data = np.ascontiguousarray(raw[:, _CHECKED_FROM:])
    offsets = np.arange(count + 1, dtype=np.int64) * size
    text = pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return xxh64(text, 0)


def _blanked(part: np.ndarray | None, which: np.ndarray, none: np.ndarray | None) -> np.ndarray | None:
    return None if part is None or none is None else np.where(which[:, None], none, part)
