"""Finding the id of a token by its 64-bit fingerprint, in two flat arrays that can be mapped from a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clickwise.features.xxh64 import xxh64

_MANY, _LARGE = 1000, 50_000  # above both, sorting first measures faster


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

    def find(self, tokens: pa.Array, otherwise: int) -> np.ndarray:
        """[n] int32 ids of `tokens`; `otherwise` for one that is not in the map."""
        if not len(self.hashes):
            return np.full(len(tokens), otherwise, np.int32)
        wanted = xxh64(tokens, self.seed)
        at = np.minimum(_places(self.hashes, wanted), len(self.hashes) - 1)
        return np.where(self.hashes[at] == wanted, self.ids[at], np.int32(otherwise))


def _places(hashes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """`np.searchsorted(hashes, wanted)`; many look-ups walk through a large table in order, and do not jump about."""
    if len(wanted) < _MANY or len(hashes) < _LARGE:
        return np.searchsorted(hashes, wanted)
    order = np.argsort(wanted)
    places = np.empty(len(wanted), np.int64)
    places[order] = np.searchsorted(hashes, wanted[order])
    return places
