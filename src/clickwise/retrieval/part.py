"""`Part`: items with their vectors, searched under rules, lists of rows and exclusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clickwise.errors import BundleError
from clickwise.retrieval.bounded import Bounded
from clickwise.retrieval.found import Found
from clickwise.retrieval.merging import less, nothing, renumbered
from clickwise.retrieval.rules import Rule
from clickwise.retrieval.shelf import Shelf
from clickwise.retrieval.vector_index import Searchable, VectorIndex, map_array

VECTORS = "vectors"
_ITEMS, _GONE = "items", "gone.npy"
_FEW_ROWS = 5000
_FEW_SHARE = 0.05
"""So few rows are searched exactly, on their own: an approximate index would look at much more to find them."""
_KEPT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The rows that may be found: few, as an index of their own, or a mask over all."""

    rows: np.ndarray | None = None
    subset: Searchable | None = None
    mask: np.ndarray | None = None

    def size_bytes(self, dim: int) -> int:
        return len(self.mask) if self.mask is not None else len(self.rows) * (8 + 4 * dim)  # type: ignore[arg-type]


class Part:
    """C items and their vectors. Immutable; several threads may search it.

    Args:
        shelf: the items.
        vectors: theirs, row by row.
        gone: [C] bool, items that were removed or changed since, never found; None: there are none.
    """

    def __init__(self, shelf: Shelf, vectors: VectorIndex, gone: np.ndarray | None = None) -> None:
        self.shelf, self.vectors, self.gone = shelf, vectors, gone
        self._kept: Bounded[tuple[str, ...], _Chosen] = Bounded(_KEPT_BYTES, lambda kept: kept.size_bytes(vectors.dim))

    def __len__(self) -> int:
        """C: rows, with those that are gone."""
        return len(self.shelf)

    @property
    def there(self) -> np.ndarray:
        """Which rows are not gone.  [C] bool"""
        return np.ones(len(self), bool) if self.gone is None else ~self.gone

    def without(self, rows: np.ndarray) -> Part:
        """The same less `rows` [n]."""
        if not len(rows):
            return self
        gone = np.zeros(len(self), bool) if self.gone is None else self.gone.copy()
        gone[rows] = True
        return Part(self.shelf, self.vectors, gone)

    def search(
        self,
        queries: np.ndarray,
        k: int,
        where: Sequence[Rule],
        allow: np.ndarray | None,
        exclude: Sequence[np.ndarray],
        threads: int,
    ) -> Found:
        """The k rows of the highest scores for each query [Q, K], less its excluded ones.

        As many more are searched for as are to be left out, so that none of the others is lost.

        Args:
            allow: rows that may be found; None: all.
            exclude: for each query, rows; or nothing at all.
        """
        chosen = self._chosen(where, allow)
        counts = np.array([len(rows) for rows in exclude], np.int64)
        if not counts.any():
            return self._search(queries, k, chosen, threads)
        found = nothing(len(queries), k)
        level = np.frexp(counts)[1]  # queries with about as many to leave out are searched for together
        for one in np.unique(level):
            at = np.flatnonzero(level == one)
            more = self._search(queries[at], k + int(counts[at].max()), chosen, threads)
            found.rows[at], found.scores[at] = less(more, [exclude[query] for query in at.tolist()], k)
        return found

    def save(self, folder: Path) -> None:
        """Write it into a new folder.

        Raises:
            OSError: the folder cannot be written to.
        """
        self.shelf.save(folder / _ITEMS)
        self.vectors.save(folder / VECTORS)
        if self.gone is not None:
            np.save(folder / _GONE, self.gone)

    @classmethod
    def load(cls, folder: Path, kind: type[VectorIndex]) -> Part:
        """What `save` wrote, with vectors of that kind, mapped from its files.

        Raises:
            BundleError: a file is missing, damaged or makes no sense.
            MissingExtraError: the index needs a library that is not installed.
        """
        shelf, vectors = Shelf.load(folder / _ITEMS), kind.load(folder / VECTORS)
        if len(shelf) != len(vectors):
            raise BundleError(f"{folder}: has {len(shelf)} items and {len(vectors)} vectors; the index is damaged")
        gone = None
        if (folder / _GONE).is_file():
            gone = np.array(map_array(folder / _GONE, np.bool_, (len(shelf),)))
        return cls(shelf, vectors, gone)

    def _search(self, queries: np.ndarray, k: int, chosen: _Chosen | None, threads: int) -> Found:
        if chosen is None:
            return self.vectors.search(queries, k, threads=threads)
        if chosen.rows is not None and chosen.subset is not None:
            return renumbered(chosen.subset.search(queries, k, threads=threads), chosen.rows)
        return self.vectors.search(queries, k, chosen.mask, threads=threads)

    def _chosen(self, where: Sequence[Rule], allow: np.ndarray | None) -> _Chosen | None:
        """The rows that may be found; None: all."""
        if allow is not None:
            rows = np.unique(allow)
            for keep in self._masks(where):
                rows = rows[keep[rows]]
            return self._of_rows(rows)
        if not where and self.gone is None:
            return None
        return self._kept.get(tuple(map(repr, where)), lambda: self._of_mask(self._masks(where)))

    def _of_mask(self, masks: list[np.ndarray]) -> _Chosen:
        mask = masks[0] if len(masks) == 1 else np.logical_and.reduce(masks)
        few = np.count_nonzero(mask) <= self._few
        return self._of_rows(np.flatnonzero(mask)) if few else _Chosen(mask=mask)

    def _of_rows(self, rows: np.ndarray) -> _Chosen:
        if len(rows) <= self._few:
            return _Chosen(rows=rows, subset=self.vectors.subset(rows))
        mask = np.zeros(len(self), bool)
        mask[rows] = True
        return _Chosen(mask=mask)

    @property
    def _few(self) -> int:
        return max(_FEW_ROWS, int(_FEW_SHARE * len(self)))

    def _masks(self, where: Sequence[Rule]) -> list[np.ndarray]:
        gone = [] if self.gone is None else [~self.gone]
        return gone + [self.shelf.mask(rule) for rule in where]
