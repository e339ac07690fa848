"""`HeldOut`: what each query should find, and what is not to be shown to it. Relevance is read here alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class RowLists:
    """A list of items for each of Q queries, one behind the other.

    Args:
        start: [Q + 1] int64, where each list begins, and the end.
        rows: [n] int64, items by their row, rising in each list.
    """

    start: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, query: np.ndarray, rows: np.ndarray, num_queries: int) -> RowLists:
        """The distinct pairs of `query` [n] in [0, Q) and `rows` [n]; those below 0 are left out."""
        query, rows = query[rows >= 0], rows[rows >= 0]
        query, rows = _distinct_pairs(query, rows)
        return cls(np.searchsorted(query, np.arange(num_queries + 1)), rows)

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> np.ndarray:
        """Length of each list.  [Q] int64"""
        return np.diff(self.start)

    @property
    def query(self) -> np.ndarray:
        """Whose list each row is in.  [n] int64"""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, queries: np.ndarray) -> RowLists:
        """The lists of `queries` [m], in that order."""
        counts = self.start[queries + 1] - self.start[queries]
        start = np.concatenate([[0], np.cumsum(counts)])
        at = np.arange(start[-1]) + np.repeat(self.start[queries] - start[:-1], counts)
        return RowLists(start, self.rows[at])


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Q queries and C items, by number.

    Args:
        num_items: C.
        relevant: the items that each query should find.
        num_relevant: [Q] int64, how many those are with the ones that are no item of the corpus: these count as missed.
        excluded: the items that are not to be shown to it: those it is known to have.
    """

    num_items: int
    relevant: RowLists
    num_relevant: np.ndarray
    excluded: RowLists

    def __len__(self) -> int:
        return len(self.num_relevant)

    @classmethod
    def of(
        cls,
        num_queries: int,
        num_items: int,
        wanted: tuple[np.ndarray, np.ndarray, np.ndarray],
        known: tuple[np.ndarray, np.ndarray],
    ) -> HeldOut:
        """From pairs of queries and items, each pair any number of times.

        Args:
            wanted: queries [n] in [0, Q), the items' names [n], and their rows [n], -1 for no item of the corpus.
            known: queries [m] and rows [m] of the items to leave out, those below 0 being none.
        """
        query, names, rows = wanted
        relevant = np.bincount(_distinct_pairs(query, names)[0], minlength=num_queries)
        return cls(num_items, RowLists.of(query, rows, num_queries), relevant, RowLists.of(*known, num_queries))

    def hits(self, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether what was found is relevant.  [n, k] bool

        Args:
            queries: [n] in [0, Q).
            rows: [n, k] items by row; -1 is never a hit.
        """
        wanted = self.relevant.take(queries)
        keys = wanted.query * self.num_items + wanted.rows  # rising
        asked = np.arange(len(queries))[:, None] * self.num_items + rows
        if not len(keys):
            return np.zeros(rows.shape, bool)
        at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        return (keys[at] == asked) & (rows >= 0)


def joined(pieces: Iterable[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Columns of pairs that came in pieces, at least one."""
    return tuple(np.concatenate(column) for column in zip(*pieces, strict=True))


def _distinct_pairs(query: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, by query and then by item."""
    order = np.lexsort((item, query))
    query, item = query[order], item[order]
    new = np.ones(len(query), bool)
    new[1:] = (query[1:] != query[:-1]) | (item[1:] != item[:-1])
    return query[new], item[new]
