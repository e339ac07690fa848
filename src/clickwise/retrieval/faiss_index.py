"""The faiss index, in half precision: up to 200,000 vectors exact, of more some lists of neighbours are looked at.

Reference: Johnson, Douze and Jégou 2019, "Billion-scale similarity search with GPUs"; faiss is MIT-licensed.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from clickwise.config import require
from clickwise.errors import BundleError
from clickwise.registry import register_index
from clickwise.retrieval.clusters import clustered
from clickwise.retrieval.faiss_library import (
    Halves,
    exponent_of,
    faiss_module,
    faiss_threads,
    found_by_faiss,
    selector,
    whole,
)
from clickwise.retrieval.found import Found
from clickwise.retrieval.half_lists import HalfLists
from clickwise.retrieval.vector_index import (
    DEFAULT_K,
    MAPPED,
    VectorIndex,
    effort_for,
    map_array,
    read_state,
    write_state,
)

EXACT_UP_TO = 200_000
"""So many vectors are searched exactly, unless told otherwise."""

_LISTS, _SIZES, _CENTRES = f"{MAPPED}/lists.bin", "sizes.npy", "centres.npy"
_STATE = {"dim": "dim", "exponent": "_exponent", "probes": "_probes", "tuned_k": "_tuned_k"}
_FIRST_SHARE = 16


@register_index("faiss")
class FaissIndex(VectorIndex):
    """score = <query, vector>, of vectors rounded to 11 bits; the lists whose centres score highest are looked at.

    With one list it is exact but for the rounding. A search under a mask looks at more lists, see `effort_for`, and
    every search at more still until it has found k.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """How the vectors are parted.

        Args:
            exact_up_to: so many vectors are one list.
            lists: of more vectors; None: the square root of their number.
            seed: of k-means.
        """

        exact_up_to: int = EXACT_UP_TO
        lists: int | None = None
        seed: int = 0

        def __post_init__(self) -> None:
            require(self.exact_up_to >= 0, "exact_up_to", self.exact_up_to, "a whole number >= 0")
            require(self.lists is None or self.lists >= 1, "lists", self.lists, "a whole number >= 1")
            require(0 <= self.seed < 2**31, "seed", self.seed, "a whole number from 0 to 2^31 - 1")

    def __init__(
        self, config: Any, lists: HalfLists, centres: np.ndarray, exponent: int, probes: int, tuned_k: int = DEFAULT_K
    ) -> None:
        super().__init__(config, centres.shape[1])
        self._faiss, self._lists, self._centres = faiss_module(), lists, centres
        self._exponent, self._probes, self._tuned_k = exponent, probes, tuned_k
        kind, product = self._faiss.ScalarQuantizer.QT_fp16, self._faiss.METRIC_INNER_PRODUCT
        self._quantizer = self._faiss.IndexFlatIP(self.dim)
        self._quantizer.add(centres)
        self._index = self._faiss.IndexIVFScalarQuantizer(self._quantizer, self.dim, len(centres), kind, product, False)
        self._index.replace_invlists(lists.view, False)
        self._index.is_trained, self._index.ntotal = True, len(lists)

    @classmethod
    def _build(cls, config: Any, vectors: np.ndarray, threads: int) -> Self:
        faiss, rows = faiss_module(), len(vectors)
        count = 1 if rows <= config.exact_up_to else min(config.lists or math.isqrt(rows), rows)
        exponent = exponent_of(vectors)
        centres, of = np.zeros((1, vectors.shape[1]), np.float32), np.zeros(rows, np.int64)
        if count > 1:
            centres, of = clustered(faiss, vectors, exponent, count, config.seed, threads)
        lists = HalfLists.made(faiss, vectors, exponent, of, count)
        return cls(config, lists, centres, exponent, -(-count // _FIRST_SHARE))

    def __len__(self) -> int:
        return len(self._lists)

    @property
    def size_bytes(self) -> int:
        return self._lists.bytes.nbytes + self._centres.nbytes

    @property
    def effort(self) -> int:
        return self._probes if self.most_effort else 0

    @property
    def most_effort(self) -> int:
        return len(self._centres) if len(self._centres) > 1 else 0

    def with_effort(self, effort: int, k: int) -> Self:
        other = copy.copy(self)
        other._probes, other._tuned_k = effort, k
        return other

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        return whole(self._lists.codes(rows), self._exponent)

    def subset(self, rows: np.ndarray) -> Halves:
        return Halves(self._lists.codes(rows), self._exponent)

    def _search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, threads: int) -> Found:
        most, told, share = len(self._centres), dict[str, Any](), 1.0
        if allowed is not None:
            told["sel"], share = selector(self._faiss, allowed), np.count_nonzero(allowed) / len(allowed)
        probes = effort_for(self._probes, self._tuned_k, k, share, most)
        with faiss_threads(self._faiss, threads):
            found = self._probed(queries, k, probes, told)
            while probes < most and len(short := np.flatnonzero(found.rows[:, -1] < 0)):
                probes = min(most, 4 * probes)
                found.rows[short], found.scores[short] = self._probed(queries[short], k, probes, told)
        if found.rows.max() >= len(self):
            raise BundleError("the lists of the index hold rows that there are not; the index is damaged")
        return found

    def _probed(self, queries: np.ndarray, k: int, probes: int, told: dict[str, Any]) -> Found:
        params = self._faiss.SearchParametersIVF(nprobe=probes, **told)
        scores, rows = self._index.search(queries, k, params=params)
        return found_by_faiss(scores, rows, self._exponent)

    def _save(self, folder: Path) -> None:
        write_state(folder, {key: getattr(self, name) for key, name in _STATE.items()})
        np.save(folder / _CENTRES, self._centres)
        np.save(folder / _SIZES, self._lists.sizes)
        self._lists.save(folder / _LISTS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        faiss, state = faiss_module(), read_state(folder, dict.fromkeys(_STATE, int))
        sizes = np.array(map_array(folder / _SIZES, np.int64))
        centres = np.array(map_array(folder / _CENTRES, np.float32, (len(sizes), state["dim"])))
        fits = 1 <= state["probes"] <= len(sizes) and state["tuned_k"] >= 1
        if not fits or (sizes < 0).any():
            raise BundleError(f"{folder}: has lists that make no sense; the index is damaged")
        lists = HalfLists(faiss, str(folder / _LISTS), sizes, state["dim"])
        return cls(cls.Config(), lists, centres, state["exponent"], state["probes"], state["tuned_k"])
