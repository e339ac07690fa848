"""Combinations of ids as 64-bit keys: made from the ids of several fields, and counted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from clickwise.schema import MISSING, OUT_OF_VOCABULARY

LARGEST_KEY = 2**63 - 1


def keys_of(parts: Sequence[np.ndarray], sizes: Sequence[int], most: int) -> np.ndarray:
    """The combinations of each row's ids, one id of each part, as keys in mixed radix: exact, no two share a key.

    key = sum_t id_t * prod_{u > t} size_u. An id that is `MISSING` makes its combinations `MISSING`, one that is
    `OUT_OF_VOCABULARY` makes them so; the key of any other combination is larger. A row that lacks a whole part has the
    one combination `MISSING`.

    Args:
        parts: [n, L_t] ids of each part; empty slots are -1 and come last. All of them may be (an empty sequence).
        sizes: number of ids of each part; their product is at most `LARGEST_KEY`.
        most: a row with more combinations keeps its first ones; those of one id of the first part come together.

    Returns:
        [n, length] int64, -1 where a slot is empty; `length` is the most that a row has, at least 1, at most `most`.
    """
    lengths = np.stack([(ids >= 0).sum(1) for ids in parts])  # [T, n]
    lacks = (np.stack([ids[:, 0] <= MISSING for ids in parts]) & (lengths <= 1)).any(0)
    lengths[:, lacks] = 1
    total = lengths.prod(0)
    place = np.arange(min(int(total.max(initial=1)), most))
    keys = np.zeros((len(total), len(place)), np.int64)
    missing, unknown = np.zeros(keys.shape, bool), np.zeros(keys.shape, bool)
    step, scale = np.ones((len(total), 1), np.int64), 1
    for ids, length, size in zip(reversed(parts), reversed(lengths), reversed(sizes), strict=True):
        digit = ids
        if ids.shape[1] > 1:
            digit = np.take_along_axis(ids, place // step % length[:, None], 1)
            step *= length[:, None]
        keys += digit.astype(np.int64) * scale
        missing |= digit <= MISSING
        unknown |= digit == OUT_OF_VOCABULARY
        scale *= size
    keys[unknown] = OUT_OF_VOCABULARY
    keys[missing] = MISSING
    keys[place >= total[:, None]] = -1
    return keys


def fits(sizes: Sequence[int]) -> bool:
    """Whether every combination of ids of parts with so many ids has a key."""
    return math.prod(sizes) <= LARGEST_KEY


class KeyCounter:
    """Counts keys, for `TokenCounts`: sorted arrays that are merged when somebody looks."""

    def __init__(self) -> None:
        none = np.zeros(0, np.int64)
        self._pieces = [(none, none, none)]

    def __len__(self) -> int:
        return len(self._merged()[0])

    def add(self, keys: np.ndarray, error: int) -> int:
        """Count keys [n] int64; new ones get this error. How many distinct ones there are among them."""
        distinct, counts = np.unique(keys, return_counts=True)
        self._pieces.append((distinct, counts, np.full(len(distinct), error, np.int64)))
        return len(distinct)

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Count and error of each key, in rising order of the keys."""
        return self._merged()[1:]

    def tokens(self) -> pa.Array:
        """The keys."""
        return pa.array(self._merged()[0])

    def drop(self, floor: int) -> None:
        """Forget the keys whose count + error is at most `floor`."""
        keys, counts, errors = self._merged()
        kept = counts + errors > floor
        self._pieces = [(keys[kept], counts[kept], errors[kept])]

    def _merged(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if len(self._pieces) > 1:
            keys, counts, errors = (np.concatenate(column) for column in zip(*self._pieces, strict=True))
            order = np.argsort(keys, kind="stable")
            keys, counts, errors = keys[order], counts[order], errors[order]
            first = np.flatnonzero(np.diff(keys, prepend=-1))  # keys are not negative
            if len(first):
                counts, errors = np.add.reduceat(counts, first), np.minimum.reduceat(errors, first)
            self._pieces = [(keys[first], counts, errors)]
        return self._pieces[0]
