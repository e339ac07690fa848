"""Which rows train, which validate and which test: by time where there is a time, else by a seeded hash of the row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from clickwise.features.sampling import splitmix64
from clickwise.schema import Schema

TRAIN, VALID, TEST = 0, 1, 2
PART_NAMES = ("train", "valid", "test")

MAX_BINS = 1 << 18
"""Distinct times that are counted exactly; more are counted in wider and wider bins."""


class Split(ABC):
    """Says which part each row belongs to, and in words how."""

    @abstractmethod
    def parts(self, times: np.ndarray | None, file_index: int, row: np.ndarray) -> np.ndarray:
        """`TRAIN`, `VALID` or `TEST` for each row.  [n] uint8

        Args:
            times: [n] int64 microseconds, None when the schema has no time.
            file_index: which file of the source the rows come from.
            row: [n] int64 numbers of the rows inside that file.
        """

    @abstractmethod
    def in_words(self) -> str:
        """What the split did, for a summary."""


@dataclass(frozen=True, slots=True)
class EveryRowTrains(Split):
    """Nothing is held out; validation rows, where there are any, come from a source of their own."""

    def parts(self, times: np.ndarray | None, file_index: int, row: np.ndarray) -> np.ndarray:
        return np.full(len(row), TRAIN, np.uint8)

    def in_words(self) -> str:
        return "no rows held out"


@dataclass(frozen=True, slots=True)
class HashSplit(Split):
    """By a hash of the row's place: u = splitmix64(seed, file, row) / 2^64; u < valid_fraction validates, the next
    `test_fraction` tests, the rest trains. A row keeps its part when rows are appended."""

    valid_fraction: float
    test_fraction: float
    seed: int
    reason: str

    def parts(self, times: np.ndarray | None, file_index: int, row: np.ndarray) -> np.ndarray:
        u = (row_hash(self.seed, file_index, row) >> np.uint64(11)) * 2.0**-53
        part = np.full(len(row), TRAIN, np.uint8)
        part[u < self.valid_fraction + self.test_fraction] = TEST
        part[u < self.valid_fraction] = VALID
        return part

    def in_words(self) -> str:
        shares = _shares(self.valid_fraction, self.test_fraction)
        return f"by a hash of the row's place, seed {self.seed} ({self.reason}): {shares}"


@dataclass(frozen=True, slots=True)
class TimeSplit(Split):
    """Rows before `valid_from` train, those from `test_from` on test, those between validate. Microseconds.

    Rows of equal time are always in one part. With two equal thresholds nothing validates.

    Args:
        column: the time column.
        asked: shares of the rows wished for, validation and test.
        got: shares that the thresholds give.
    """

    column: str
    valid_from: int
    test_from: int
    asked: tuple[float, float]
    got: tuple[float, float]

    def parts(self, times: np.ndarray | None, file_index: int, row: np.ndarray) -> np.ndarray:
        assert times is not None, "a split by time needs times"
        return (times >= self.valid_from).astype(np.uint8) + (times >= self.test_from).astype(np.uint8)

    def in_words(self) -> str:
        cuts = []
        if self.valid_from < self.test_from:
            cuts.append(f"validation from {_utc(self.valid_from)}")
        if self.test_from < _NEVER:
            cuts.append(f"test from {_utc(self.test_from)}")
        return (
            f"by time ({self.column}): {', '.join(cuts)} (asked for {_shares(*self.asked)}; got {_shares(*self.got)})"
        )


_NEVER = int(np.iinfo(np.int64).max)


class TimeHistogram:
    """Counts of times in bounded memory, the same whatever the chunks.

    Bins are 2^shift microseconds wide, with the smallest shift that leaves at most `max_bins` bins. More rows never
    make fewer bins and wider bins never make more, so the final shift depends on the set of times alone. Up to
    `max_bins` distinct times the counts are exact.
    """

    def __init__(self, max_bins: int = MAX_BINS) -> None:
        self.max_bins = max_bins
        self.shift = 0
        self.bins = np.empty(0, np.int64)
        self.counts = np.empty(0, np.int64)
        self._pending: list[np.ndarray] = []
        self._num_pending = 0

    def update(self, times: np.ndarray) -> None:
        """Count more times, int64 microseconds [n]."""
        self._pending.append(times)
        self._num_pending += len(times)
        if self._num_pending >= self.max_bins:  # sorting few rows into many bins one block at a time would be slow
            self.fold()

    def fold(self) -> None:
        """Take what is pending into the bins."""
        if self._pending:
            bins, counts = np.unique(np.concatenate(self._pending) >> self.shift, return_counts=True)
            self._pending, self._num_pending = [], 0
            self._merge(np.concatenate([self.bins, bins]), np.concatenate([self.counts, counts]))
        while len(self.bins) > self.max_bins:
            self.shift += 1
            self._merge(self.bins >> 1, self.counts)

    def _merge(self, bins: np.ndarray, counts: np.ndarray) -> None:
        self.bins, where = np.unique(bins, return_inverse=True)
        self.counts = np.bincount(where, weights=counts, minlength=len(self.bins)).astype(np.int64)

    def split(self, column: str, valid_fraction: float, test_fraction: float) -> TimeSplit | None:
        """Thresholds whose shares of the rows come nearest to the fractions; None when there are too few times."""
        self.fold()
        wanted = (valid_fraction > 0) + (test_fraction > 0)
        if len(self.bins) < wanted + 1:
            return None
        total = int(self.counts.sum())
        before = np.concatenate([[0], np.cumsum(self.counts)])  # rows earlier than bin i
        last = len(self.bins)
        test_at = last
        if test_fraction > 0:
            test_at = _nearest_cut(before, total * (1 - test_fraction), wanted, last - 1)
        valid_at = test_at
        if valid_fraction > 0:
            valid_at = _nearest_cut(before, before[test_at] - total * valid_fraction, 1, test_at - 1)
        starts = [*(self.bins << self.shift).tolist(), _NEVER]
        got = ((before[test_at] - before[valid_at]) / total, (total - before[test_at]) / total)
        return TimeSplit(column, starts[valid_at], starts[test_at], (valid_fraction, test_fraction), got)


def _nearest_cut(before: np.ndarray, target: float, lowest: int, highest: int) -> int:
    """The bin in lowest..highest that has nearest to `target` rows before it."""
    return lowest + int(np.argmin(np.abs(before[lowest : highest + 1] - target)))


def time_format(schema: Schema) -> str | None:
    """How the time column is written: as the schema or the feature that reads it says, else None to recognise it."""
    if schema.time_format:
        return schema.time_format
    formats = (getattr(f.config, "format", None) for f in schema.features if f.column == schema.time)
    return next((text for text in formats if text), None)


def row_hash(seed: int, file_index: int, row: np.ndarray) -> np.ndarray:
    """A uniform 64-bit hash of the place of each row.  [n] uint64

    splitmix64 (Steele, Lea, Flood 2014) chained over seed, file and row: the same in every process and version.
    """
    state = splitmix64(np.uint64(seed % 2**64) + np.zeros(1, np.uint64))
    state = splitmix64(state ^ np.uint64(file_index))
    return splitmix64(state ^ row.astype(np.uint64))


def _shares(valid_fraction: float, test_fraction: float) -> str:
    shares = [(valid_fraction, "validation"), (test_fraction, "test")]
    return " and ".join(f"{100 * f:.3g} % {name}" for f, name in shares if f > 0)


def _utc(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us")).replace("T", " ").removesuffix(".000000")
