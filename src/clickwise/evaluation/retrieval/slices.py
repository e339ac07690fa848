"""Items and queries by how many training interactions they have: what is cold, and what is well known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clickwise.retrieval.held_out import HeldOut

EDGES = (0, 5, 20, 100)
"""The most interactions of each slice but the last."""


@dataclass(frozen=True, slots=True)
class Slices:
    """S slices of the C items and of the Q queries.

    Args:
        edges: the most training interactions of each slice but the last, rising; S is one more than there are.
        item: [C] slice of each item.
        query: [Q] slice of each query, by the items that are left out for it.
        relevant: [Q, S] relevant items of each query by slice; those that are no item of the corpus are in the first.
    """

    edges: tuple[int, ...]
    item: np.ndarray
    query: np.ndarray
    relevant: np.ndarray

    @classmethod
    def of(cls, held_out: HeldOut, popularity: np.ndarray, edges: Sequence[int] = EDGES) -> Slices:
        """By the training interactions [C] of the items."""
        num = len(edges) + 1
        item = np.searchsorted(edges, popularity)
        cell = held_out.relevant.query * num + item[held_out.relevant.rows]
        relevant = np.bincount(cell, minlength=len(held_out) * num).reshape(-1, num)
        relevant[:, 0] += held_out.num_relevant - held_out.relevant.counts
        return cls(tuple(edges), item, np.searchsorted(edges, held_out.excluded.counts), relevant)

    def __len__(self) -> int:
        return len(self.edges) + 1

    @property
    def labels(self) -> list[str]:
        """In words, such as "0", "1 to 5", "over 100"."""
        first = [edge + 1 for edge in (-1, *self.edges)]
        inner = [f"{a:,}" if a == b else f"{a:,} to {b:,}" for a, b in zip(first, self.edges, strict=False)]
        return [*inner, f"over {self.edges[-1]:,}"] if self.edges else ["all"]

    def hits(self, hits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Hits by the slice of their item.  [n, S]

        Args:
            hits, rows: [n, k].
        """
        query, place = np.nonzero(hits)
        cell = query * len(self) + self.item[rows[query, place]]
        return np.bincount(cell, minlength=len(hits) * len(self)).reshape(-1, len(self))

    def shown(self, rows: np.ndarray) -> np.ndarray:
        """Places of lists [n, k] that items of each slice take.  [S]"""
        return np.bincount(self.item[rows[rows >= 0]], minlength=len(self))
