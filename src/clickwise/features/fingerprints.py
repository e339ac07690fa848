"""Finding the id of a token by its 64-bit fingerprint, in two flat arrays that can be mapped from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.features.xxh64 import xxh64
from clickwise.native import columns
from clickwise.native.requests import InputPlan, Target

_MANY, _LARGE = 1000, 50_000  # above both, sorting first measures faster


class _Finder(Protocol):
    def find(self, tokens: pa.Array, otherwise: int, missing: int) -> np.ndarray: ...


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """A map from token to id that holds no token.

    A token outside the map is taken for one inside with probability size / 2^64: for a vocabulary of a million, one
    unseen token in 18 million million. Two tokens inside never share a fingerprint: `build` looks for such a seed.

    Args:
        seed: seed of the hash.
        hashes: [V] uint64 fingerprints, rising.
        ids: [V] int32, the id that belongs to each.
    """

    seed: int
    hashes: np.ndarray
    ids: np.ndarray
    _finder: _Finder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        finder = columns.Lookup if columns.compiled() else _Search
        object.__setattr__(self, "_finder", finder(self.seed, self.hashes, self.ids))

    @classmethod
    def build(cls, tokens: pa.Array, first_id: int) -> Fingerprints:
        """Number distinct `tokens` [V] from `first_id` on, under the first seed that gives each its own fingerprint."""
        seed = 0
        while True:
            hashes = xxh64(tokens, seed)
            order = np.argsort(hashes)
            ordered = hashes[order]
            if (ordered[1:] != ordered[:-1]).all():
                return cls(seed, ordered, (order + first_id).astype(np.int32))
            seed += 1

    def compile_into(self, plan: InputPlan, target: Target) -> bool:
        """See `TokenTransform.compile_tokens`."""
        if not isinstance(self._finder, columns.Lookup):
            return False
        self._finder.compile_into(plan, target)
        return True

    def find(self, tokens: pa.Array, otherwise: int, missing: int) -> np.ndarray:
        """[n] int32 ids of `tokens`; `missing` for null or empty text, `otherwise` for one that is not in the map."""
        return self._finder.find(tokens, otherwise, missing)


class _Search:
    """The twin of `columns.Lookup`: binary search."""

    def __init__(self, seed: int, hashes: np.ndarray, ids: np.ndarray) -> None:
        self._seed, self._hashes, self._ids = seed, hashes, ids

    def find(self, tokens: pa.Array, otherwise: int, missing: int) -> np.ndarray:
        """[n] int32 ids."""
        empty = pc.fill_null(pc.equal(pc.binary_length(tokens), 0), True).to_numpy(zero_copy_only=False)
        if not len(self._hashes):
            return np.where(empty, np.int32(missing), np.int32(otherwise))
        wanted = xxh64(tokens, self._seed)
        at = np.minimum(_places(self._hashes, wanted), len(self._hashes) - 1)
        found = np.where(self._hashes[at] == wanted, self._ids[at], np.int32(otherwise))
        return np.where(empty, np.int32(missing), found)


def _places(hashes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """`np.searchsorted(hashes, wanted)`; many look-ups walk through a large table in order, and do not jump about."""
    if len(wanted) < _MANY or len(hashes) < _LARGE:
        return np.searchsorted(hashes, wanted)
    order = np.argsort(wanted)
    places = np.empty(len(wanted), np.int64)
    places[order] = np.searchsorted(hashes, wanted[order])
    return places
