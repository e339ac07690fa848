"""`ItemIndex`: items that can be searched by a vector, under rules and exclusions, and changed without a rebuild."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa

from clickwise.atomic import whole_folder
from clickwise.config import require
from clickwise.errors import BundleError, DataError
from clickwise.features.side_by_side import processors
from clickwise.progress import Progress
from clickwise.registry import indexes
from clickwise.retrieval.catalogue import Catalogue
from clickwise.retrieval.exact import ExactIndex
from clickwise.retrieval.found import Found
from clickwise.retrieval.index_config import IndexConfig, index_config
from clickwise.retrieval.index_manifest import INDEX, IndexManifest
from clickwise.retrieval.merging import joined
from clickwise.retrieval.part import Part
from clickwise.retrieval.rules import Rule
from clickwise.retrieval.shelf import Shelf, one_batch, plain_items
from clickwise.retrieval.tuning import Measured, built
from clickwise.retrieval.vector_index import checked_queries, checked_vectors

__all__ = ["INDEX", "IndexConfig", "ItemIndex"]

Excluded = Sequence[Sequence[str] | np.ndarray]
"""For each query, ids of items, or their rows as whole numbers."""


_MAIN, _NEWER = "main", "newer"


@dataclass(frozen=True, slots=True, eq=False)
class ItemIndex:
    """A catalogue, an index of its items' vectors, and a small exact index of what was added or changed since.

    Immutable: an update gives another `ItemIndex` that shares what did not change. An item's row is its number in both
    parts, those of `newer` behind those of `main`; updates never renumber rows, only `compacted` does.

    Args:
        main: what was built.
        newer: what came since; None: nothing.
        config: how `main` was built.
        measured: what it was found to do then.
    """

    main: Part
    newer: Part | None
    config: IndexConfig
    measured: Measured
    catalogue: Catalogue = field(init=False, repr=False)
    """All items by row, also those that were removed or changed since."""

    def __post_init__(self) -> None:
        newer = None if self.newer is None else self.newer.shelf
        object.__setattr__(self, "catalogue", Catalogue(self.main.shelf, newer))

    @classmethod
    def build(
        cls,
        items: Any,
        id_column: str,
        vectors: np.ndarray,
        config: IndexConfig | None = None,
        *,
        queries: np.ndarray | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> ItemIndex:
        """An index of items and their vectors.

        Args:
            items: C rows of any Arrow table or frame, each an item.
            id_column: the column that names them.
            vectors: [C, K] float32, row by row.
            queries: [Q, K] float32, vectors such as it will be asked for, to tune and measure it; None: items' own.
            threads: to build with; None: one a processor.

        Raises:
            ConfigError: an option that this kind of index does not have.
            DataError: an id that is missing or there twice; vectors or queries that do not fit or are not finite.
            MissingExtraError: it needs a library that is not installed.
        """
        config, progress, threads = config or IndexConfig(), progress or Progress(), threads or processors()
        shelf, vectors = Shelf.of(items, id_column), checked_vectors(vectors)
        _check_pairs(len(shelf), vectors)
        progress.start("index", len(shelf))
        chosen = index_config(config, len(shelf), progress)
        kind = indexes.get(indexes.name_of(chosen))
        index, measured = built(lambda: kind.build(chosen, vectors, threads), vectors, queries, config, threads)
        progress.advance(len(shelf), recall=measured.recall)
        progress.finish()
        return cls(Part(shelf, index), None, config, measured)

    def __len__(self) -> int:
        """Items that are there."""
        return sum(int(np.count_nonzero(part.there)) for part in self._parts)

    @property
    def dim(self) -> int:
        """K: of the vectors."""
        return self.main.vectors.dim

    @property
    def id_column(self) -> str:
        """The column that names the items."""
        return self.main.shelf.id_column

    @property
    def kind(self) -> str:
        """Name of the main index."""
        return indexes.name_of(type(self.main.vectors))

    def search(
        self,
        queries: np.ndarray,
        k: int,
        *,
        where: Sequence[Rule] = (),
        allow: Sequence[str] | None = None,
        exclude: Excluded | None = None,
        threads: int = 1,
    ) -> Found:
        """The rows of the k items with the highest dot products with each query, highest first.

        Args:
            queries: [Q, K] float32.
            where: rules that every item found fulfils.
            allow: ids of the only items that may be found; None: all.
            exclude: for each query the items that are not to be found, by ids or by rows of this very index.
            threads: to search with, where there are several queries.

        Raises:
            ConfigError: k < 1, or a rule that does not fit the items.
            DataError: queries of another dimension or not finite, an id that is no text, `exclude` of another length.
        """
        require(k >= 1, "k", k, "a whole number >= 1")
        queries = checked_queries(queries, self.dim)
        first = len(self.main)
        allowed = None if allow is None else self.rows_of(allow)
        excluded = self._excluded(exclude, len(queries))
        found: Found | None = None
        for part, start in zip(self._parts, (0, first), strict=False):
            mine = None if allowed is None else _inside(allowed, start, len(part))
            less = [_inside(rows, start, len(part)) for rows in excluded]
            here = part.search(queries, k, where, mine, less, threads)
            if found is None:
                found = here
            else:
                moved = Found(np.where(here.rows >= 0, here.rows + start, -1), here.scores)
                found = joined(found, moved, k)
        assert found is not None, "there is always a main part"
        return found

    def rows_of(self, ids: Sequence[str] | pa.Array) -> np.ndarray:
        """Rows of ids [n]; -1 for one that is not there, or no longer.  [n] int64

        Raises:
            DataError: an id that is no text.
        """
        rows, first = self.catalogue.rows_of(ids), len(self.main)
        if self.main.gone is not None:
            old = (rows >= 0) & (rows < first)
            rows[old] = np.where(self.main.gone[rows[old]], -1, rows[old])
        return rows

    def ids_of(self, rows: np.ndarray) -> list[str]:
        """Ids of rows [n], none of them below 0."""
        return self.catalogue.ids_of(rows)

    def take(self, rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """All columns, or some, of rows [n], none of them below 0."""
        return self.catalogue.take(rows, columns)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of rows [n], none of them below 0, as the index holds them: perhaps rounded.  [n, K] float32"""
        rows, first = np.asarray(rows, np.int64), len(self.main)
        found, old = np.empty((len(rows), self.dim), np.float32), rows < first
        found[old] = self.main.vectors.vectors(rows[old])
        if self.newer is not None:
            found[~old] = self.newer.vectors.vectors(rows[~old] - first)
        return found

    def upserted(self, items: Any, vectors: np.ndarray) -> ItemIndex:
        """The same with these items added, or changed where their ids are there already. They get the next rows.

        Args:
            items: rows with all columns of the catalogue.
            vectors: [n, K] float32, row by row.

        Raises:
            DataError: a column is missing or of another type, an id is missing or there twice, or vectors that do not
                fit or are not finite.
        """
        data, vectors = (
            _as_schema(plain_items(items, self.id_column, self.catalogue.columns), self),
            _fitting(vectors, self),
        )
        _check_pairs(data.num_rows, vectors)
        shelf = Shelf.of(data, self.id_column)
        if not len(shelf):
            return self
        kept = self.removed(shelf.ids(np.arange(len(shelf))))
        if kept.newer is None:
            return dataclasses.replace(kept, newer=Part(shelf, ExactIndex.of(vectors)))
        old, size = kept.newer, len(kept.newer)
        gone = np.concatenate([np.zeros(size, bool) if old.gone is None else old.gone, np.zeros(len(shelf), bool)])
        both = np.concatenate([old.vectors.vectors(np.arange(size)), vectors])
        part = Part(old.shelf.followed_by(data, ~gone), ExactIndex.of(both), gone if gone.any() else None)
        return dataclasses.replace(kept, newer=part)

    def removed(self, ids: Sequence[str] | pa.Array) -> ItemIndex:
        """The same without these items; ids that are not there are ignored.

        Raises:
            DataError: an id that is no text.
        """
        rows, first = self.rows_of(ids), len(self.main)
        main, newer = self.main.without(_inside(rows, 0, first)), self.newer
        if newer is not None and len(late := _inside(rows, first, len(newer))):
            less = newer.without(late)
            newer = Part(less.shelf.finding(less.there), less.vectors, less.gone)
        return dataclasses.replace(self, main=main, newer=newer)

    def compacted(
        self,
        *,
        queries: np.ndarray | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> ItemIndex:
        """An index built anew of the items that are there; rows are renumbered, in their order. As `build`."""
        rows = np.flatnonzero(np.concatenate([part.there for part in self._parts]))
        items, vectors = self.take(rows), self.vectors(rows)
        return ItemIndex.build(
            items, self.id_column, vectors, self.config, queries=queries, threads=threads, progress=progress
        )

    def save(self, folder: str | Path) -> None:
        """Write the index to `folder`, whole or not at all; an older index there is replaced.

        Raises:
            BundleError: `folder` exists and is not an index.
            DataError: the disk is full or the folder cannot be written to.
        """
        INDEX.check_out(Path(folder))
        about = IndexManifest(len(self), self.dim, self.id_column, self.kind, self.config, self.measured)
        with whole_folder(Path(folder)) as new:
            for part, name in zip(self._parts, (_MAIN, _NEWER), strict=False):
                part.save(new / name)
            about.seal(new)

    @classmethod
    def open(cls, folder: str | Path) -> ItemIndex:
        """Open a saved index, in a time that does not grow with its vectors.

        Every file is checked against its size and checksum, but for the vectors of the main index: of those the size
        is, and their pages stay in the file, mapped, until a search needs them. `INDEX.verify` reads them too.

        Raises:
            BundleError: not an index, damaged, of another format version, or of a kind this process does not know.
            MissingExtraError: it needs a library that is not installed.
        """
        folder = Path(folder)
        about = IndexManifest.read(folder)
        main = Part.load(folder / _MAIN, about.vector_index(folder))
        newer = Part.load(folder / _NEWER, ExactIndex) if (folder / _NEWER).is_dir() else None
        if newer is not None and (newer.vectors.dim, newer.shelf.schema) != (main.vectors.dim, main.shelf.schema):
            raise BundleError(f"{folder}: its parts do not fit each other; the index is damaged")
        return cls(main, newer, about.config, about.measured)

    @property
    def _parts(self) -> tuple[Part, ...]:
        return (self.main,) if self.newer is None else (self.main, self.newer)

    def _excluded(self, exclude: Excluded | None, num_queries: int) -> list[np.ndarray]:
        """Rows for each query; nothing where there is nothing to leave out."""
        if exclude is None:
            return []
        if len(exclude) != num_queries:
            raise DataError(f"{len(exclude)} lists of items to leave out came with {num_queries} queries")
        found = [one if _are_rows(one) else np.empty(0, np.int64) for one in exclude]
        by_id = [at for at, one in enumerate(exclude) if len(one) and not _are_rows(one)]
        if by_id:
            rows = self.rows_of([id for at in by_id for id in exclude[at]])
            ends = np.cumsum([len(exclude[at]) for at in by_id])
            for at, mine in zip(by_id, np.split(rows, ends[:-1]), strict=True):
                found[at] = mine
        return found


def _inside(rows: np.ndarray, start: int, size: int) -> np.ndarray:
    """Those of `rows` in [start, start + size), counted from `start`."""
    return rows[(rows >= start) & (rows < start + size)] - start


def _are_rows(given: Sequence[str] | np.ndarray) -> TypeGuard[np.ndarray]:
    return isinstance(given, np.ndarray) and given.dtype.kind in "iu"


def _check_pairs(items: int, vectors: np.ndarray) -> None:
    if len(vectors) != items:
        raise DataError(f"{items:,} items came with {len(vectors):,} vectors", fix="give one for each item, in order")


def _fitting(vectors: np.ndarray, index: ItemIndex) -> np.ndarray:
    vectors = checked_vectors(vectors)
    if vectors.shape[1] != index.dim:
        raise DataError(f"vectors have {vectors.shape[1]} numbers, those of the index {index.dim}")
    return vectors


def _as_schema(data: pa.RecordBatch, index: ItemIndex) -> pa.RecordBatch:
    """`data` in the types of the catalogue."""
    arrays = []
    for field_ in index.catalogue.schema:
        try:
            arrays.append(data.column(field_.name).cast(field_.type))
        except pa.ArrowException:
            kind = data.column(field_.name).type
            problem = f"is {kind}, and {field_.type} in the catalogue"
            raise DataError(problem, file="items", column=field_.name, fix="give it in that type") from None
    return one_batch([pa.RecordBatch.from_arrays(arrays, schema=index.catalogue.schema)])
