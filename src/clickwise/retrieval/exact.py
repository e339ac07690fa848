"""The exact index, in NumPy: what all others are measured by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from clickwise.registry import register_index
from clickwise.retrieval.found import Found
from clickwise.retrieval.merging import nothing
from clickwise.retrieval.vector_index import MAPPED, VectorIndex, map_array, read_state, write_state

_QUERIES_AT_ONCE = 256
_SCORES_AT_ONCE = 1 << 22
_FILE = f"{MAPPED}/vectors.npy"


@register_index("exact")
class ExactIndex(VectorIndex):
    """score = <query, vector> in float32, of all vectors; among equals the lower row comes first.

    It never holds more than 4 million scores. NumPy's BLAS computes them, with the threads its environment gives it.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Nothing to set."""

    def __init__(self, config: Any, vectors: np.ndarray) -> None:
        super().__init__(config, vectors.shape[1])
        self._vectors = vectors

    @classmethod
    def of(cls, vectors: np.ndarray) -> Self:
        """An index of vectors [C, K] float32 that are known to be finite."""
        return cls(cls.Config(), vectors)

    @classmethod
    def _build(cls, config: Any, vectors: np.ndarray, threads: int) -> Self:
        return cls(config, vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def size_bytes(self) -> int:
        return self._vectors.nbytes

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._vectors[rows])

    def subset(self, rows: np.ndarray) -> ExactIndex:
        return ExactIndex(self.config, self.vectors(rows))

    def _search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, threads: int) -> Found:
        pieces = [
            self._search_few(queries[start : start + _QUERIES_AT_ONCE], k, allowed)
            for start in range(0, len(queries), _QUERIES_AT_ONCE)
        ]
        return Found(*(np.concatenate(part) for part in zip(*pieces, strict=True)))

    def _search_few(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> Found:
        """Block by block: only scores above the k-th best so far are looked at again.

        Blocks begin small and double, so that about k scores of each are.
        """
        best, start, most = nothing(len(queries), k), 0, max(1, _SCORES_AT_ONCE // len(queries))
        size = min(most, max(1024, 2 * k))
        while start < len(self):
            block = self._vectors[start : start + size]
            with np.errstate(over="ignore", invalid="ignore"):
                scores = queries @ block.T  # [Q, size]
            if allowed is not None:
                scores[:, ~allowed[start : start + size]] = -np.inf
            best = _with_better(best, scores, start)
            start, size = start + size, min(2 * size, most)
        return best

    def _save(self, folder: Path) -> None:
        write_state(folder, {"rows": len(self), "dim": self.dim})
        np.save(folder / _FILE, self._vectors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        state = read_state(folder, {"rows": int, "dim": int})
        return cls.of(map_array(folder / _FILE, np.float32, (state["rows"], state["dim"])))


def _with_better(best: Found, scores: np.ndarray, first_row: int) -> Found:
    """`best` [Q, k] with those of the scores [Q, n] of the rows from `first_row` on that are better than its last."""
    k = best.rows.shape[1]
    better = np.flatnonzero(scores > best.scores[:, -1:])  # many times as fast as `nonzero` of two dimensions
    if not len(better):
        return best
    query, column = np.divmod(better, scores.shape[1])
    counts = np.bincount(query, minlength=len(scores))
    place = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    new = nothing(len(scores), int(counts.max()))
    new.rows[query, place], new.scores[query, place] = first_row + column, scores[query, column]
    rows, values = (np.concatenate(pair, axis=1) for pair in zip(best, new, strict=True))
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return Found(np.take_along_axis(rows, order, 1), np.take_along_axis(values, order, 1))
