"""A bounded sample of an endless stream of numbers that does not depend on how the stream is cut into chunks."""

from __future__ import annotations

import numpy as np

from clickwise.native import columns

SAMPLE_SIZE = 200_000
"""Numbers kept. A quantile taken from so many is off by about 0.1 % of the rows (standard error sqrt(p(1-p)/k))."""


GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
"""What splitmix64 adds to its state at each step."""


def splitmix64(x: np.ndarray) -> np.ndarray:
    """A bijection of uint64 [n] whose results look random. Reference: Steele, Lea and Flood 2014; Vigna's splitmix64.c.

    >>> [hex(int(v)) for v in splitmix64(np.array([0], np.uint64))]
    ['0xe220a8397b1dcdaf']
    """
    return mix64(x + GOLDEN_GAMMA)


def mix64(z: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: a bijection of uint64 [n] that keeps 0."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class BottomK:
    """Keeps the k numbers whose position in the stream has the smallest hash: a uniform sample; all of them up to k.

    Positions have distinct hashes, so the sample is one without replacement, and cutting the stream differently changes
    nothing. Reference: Cohen and Kaplan 2007, "Summarizing Data Using Bottom-k Sketches".
    """

    def __init__(self, k: int = SAMPLE_SIZE, seed: int = 0) -> None:
        self._k = k
        self._seed = seed
        self._seen = 0
        self._limit = 2**64 - 1
        self._kept = 0
        self._pieces: list[tuple[np.ndarray, np.ndarray]] = []  # hashes and values, `_kept` in all

    def add(self, values: np.ndarray) -> None:
        """Take in one more chunk [n] of the stream; NaN is left out."""
        sample = columns.sample if columns.compiled() else _sample
        hashes, low, counted = sample(values, self._seen, self._seed, self._limit)
        self._seen += counted
        if len(hashes):
            self._pieces.append((hashes.copy(), low.copy()))  # without the room of those that were left out
            self._kept += len(hashes)
        if self._kept > self._k + self._k // 2:  # dropping some now and then costs less than a few each time
            self._drop_highest()

    def sorted_values(self) -> np.ndarray:
        """The sample, float64, in rising order."""
        self._drop_highest()
        return np.sort(np.concatenate([np.zeros(0), *(values for _, values in self._pieces)]))

    def _drop_highest(self) -> None:
        """Keep the `k` lowest hashes."""
        if self._kept <= self._k:
            return
        hashes, values = (np.concatenate(parts) for parts in zip(*self._pieces, strict=True))
        lowest = np.argpartition(hashes, self._k - 1)[: self._k]
        self._pieces, self._kept = [(hashes[lowest], values[lowest])], self._k
        self._limit = int(self._pieces[0][0].max())


def _sample(x: np.ndarray, seen: int, seed: int, limit: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The twin of `columns.sample`."""
    values = x[~np.isnan(x)]
    hashes = splitmix64(np.arange(seen, seen + len(values), dtype=np.uint64) ^ np.uint64(seed))
    low = hashes <= np.uint64(limit)
    return hashes[low], values[low], len(values)


def quantile_cuts(ordered: np.ndarray, parts: int) -> np.ndarray:
    """[parts - 1] the cuts between `parts` equal shares of `ordered` numbers: x lies above as many cuts as shares.

    The number of cuts at or below x is #{j : P(X <= x) > j / parts}, so that a value that many rows share is put where
    the empirical CDF puts it: at the upper end of its rows. Empty when there are no numbers.

    >>> quantile_cuts(np.arange(1.0, 11.0), 5)
    array([3., 5., 7., 9.])
    """
    if not len(ordered):
        return np.zeros(0)
    return ordered[np.arange(1, parts) * len(ordered) // parts]
