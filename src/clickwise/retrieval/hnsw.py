"""HNSW, as faiss has it: a graph of neighbours that a search walks along.

Reference: Malkov and Yashunin 2018, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical
Navigable Small World Graphs", Algorithms 1 to 5.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from clickwise.config import require
from clickwise.errors import BundleError
from clickwise.registry import register_index
from clickwise.retrieval.faiss_library import (
    Halves,
    exponent_of,
    faiss_module,
    faiss_threads,
    found_by_faiss,
    scaled,
    selector,
    whole,
)
from clickwise.retrieval.found import Found
from clickwise.retrieval.vector_index import DEFAULT_K, VectorIndex, effort_for, read_state, write_state

_FILE = "graph.faiss"
_STATE = {"exponent": "_exponent", "effort": "_effort", "tuned_k": "_tuned_k"}
_MOST_EFFORT = 8192


@register_index("hnsw")
class HNSWIndex(VectorIndex):
    """score = <query, vector>, of vectors rounded to 11 bits; a search keeps `effort` candidates.

    It keeps as many as it is asked for at least, and more under a mask, see `effort_for`; where it has not found k, it
    looks at all. Opening reads the whole file: damage to a graph could lead a search anywhere.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """neighbours: of a vector in the graph (M). build_effort: candidates that building keeps (efConstruction)."""

        neighbours: int = 32
        build_effort: int = 80

        def __post_init__(self) -> None:
            require(2 <= self.neighbours <= 512, "neighbours", self.neighbours, "a whole number from 2 to 512")
            require(self.build_effort >= 1, "build_effort", self.build_effort, "a whole number >= 1")

    def __init__(self, config: Any, index: Any, exponent: int, effort: int, tuned_k: int = DEFAULT_K) -> None:
        super().__init__(config, index.d)
        self._faiss, self._index, self._exponent = faiss_module(), index, exponent
        self._effort, self._tuned_k = effort, tuned_k
        self._storage = self._faiss.downcast_index(index.storage)

    @classmethod
    def _build(cls, config: Any, vectors: np.ndarray, threads: int) -> Self:
        faiss, exponent = faiss_module(), exponent_of(vectors)
        kind, product = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexHNSWSQ(vectors.shape[1], kind, config.neighbours, product)
        index.hnsw.efConstruction, index.is_trained = config.build_effort, True
        with faiss_threads(faiss, threads):
            if len(vectors):
                index.add(scaled(vectors, exponent))
        return cls(config, index, exponent, min(64, max(1, len(vectors))))

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def size_bytes(self) -> int:
        graph = self._index.hnsw
        return len(self) * (self._storage.code_size + 12) + 4 * graph.neighbors.size()

    @property
    def effort(self) -> int:
        return self._effort

    @property
    def most_effort(self) -> int:
        return min(_MOST_EFFORT, max(1, len(self)))

    def with_effort(self, effort: int, k: int) -> Self:
        other = copy.copy(self)
        other._effort, other._tuned_k = max(effort, min(k, self.most_effort)), k
        return other

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        return whole(self._codes(rows), self._exponent)

    def subset(self, rows: np.ndarray) -> Halves:
        return Halves(self._codes(rows), self._exponent)

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        """[n, K] float16"""
        if not len(self):
            return np.empty((0, self.dim), np.float16)
        codes = self._faiss.rev_swig_ptr(self._storage.codes.data(), len(self) * self._storage.code_size)
        return codes.view(np.float16).reshape(len(self), self.dim)[rows]

    def _search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, threads: int) -> Found:
        told, share = dict[str, Any](), 1.0
        if allowed is not None:
            told["sel"], share = selector(self._faiss, allowed), np.count_nonzero(allowed) / len(allowed)
        effort = effort_for(self._effort, self._tuned_k, k, share, self.most_effort)
        with faiss_threads(self._faiss, threads):
            params = self._faiss.SearchParametersHNSW(efSearch=max(effort, k), **told)
            scores, rows = self._index.search(queries, k, params=params)
            if len(short := np.flatnonzero(rows[:, -1] < 0)):
                everything = self._faiss.SearchParameters(**told)
                scores[short], rows[short] = self._storage.search(queries[short], k, params=everything)
        return found_by_faiss(scores, rows, self._exponent)

    def _save(self, folder: Path) -> None:
        write_state(folder, {key: getattr(self, name) for key, name in _STATE.items()})
        self._faiss.write_index(self._index, str(folder / _FILE))

    @classmethod
    def load(cls, folder: Path) -> Self:
        faiss, state = faiss_module(), read_state(folder, dict.fromkeys(_STATE, int))
        try:
            index = faiss.read_index(str(folder / _FILE))
        except RuntimeError as error:
            raise BundleError(f"{folder / _FILE}: cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(index, faiss.IndexHNSWSQ) or min(state["effort"], state["tuned_k"]) < 1:
            raise BundleError(f"{folder}: is no HNSW index that this version knows; the index is damaged")
        return cls(cls.Config(), index, state["exponent"], state["effort"], state["tuned_k"])
