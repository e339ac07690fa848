"""`Catalogue`: what is known of the items, by row number: their ids, attributes, and which of them a rule keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.plain import check_known, select
from clickwise.features.arrays import codes
from clickwise.retrieval.bounded import Bounded
from clickwise.retrieval.rules import Rule
from clickwise.retrieval.shelf import Shelf, ids_as_text, one_batch

__all__ = ["Catalogue", "Rule"]

_CODES_BYTES = 64 << 20


class Catalogue:
    """The items of one or two shelves, the rows of the second behind those of the first. Immutable.

    It does not know which items were removed or changed since: of an id that is on both shelves, the second counts.
    """

    def __init__(self, first: Shelf, second: Shelf | None = None) -> None:
        self.shelves: tuple[Shelf, ...] = (first,) if second is None else (first, second)
        self._codes: Bounded[str, np.ndarray] = Bounded(_CODES_BYTES, lambda kept: kept.nbytes)

    def __len__(self) -> int:
        """Rows."""
        return sum(map(len, self.shelves))

    @property
    def id_column(self) -> str:
        """The column that names the items."""
        return self.shelves[0].id_column

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return self.shelves[0].columns

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns."""
        return self.shelves[0].schema

    def rows_of(self, ids: Sequence[str] | pa.Array) -> np.ndarray:
        """Rows of ids [n]; -1 for one that is not there.  [n] int64

        Raises:
            DataError: an id that is no text.
        """
        text = ids_as_text(ids)
        rows = self.shelves[0].rows_of(text)
        for shelf in self.shelves[1:]:
            newer = shelf.rows_of(text)
            rows = np.where(newer >= 0, newer + len(self.shelves[0]), rows)
        return rows

    def ids_of(self, rows: np.ndarray) -> list[str]:
        """Ids of rows [n], none of them below 0."""
        rows, first = np.asarray(rows, np.int64), len(self.shelves[0])
        if len(self.shelves) == 1 or not len(rows) or int(rows.max()) < first:
            return self.shelves[0].ids(rows).to_pylist()
        found = np.empty(len(rows), object)
        newer = rows >= first
        found[~newer] = self.shelves[0].ids(rows[~newer]).to_pylist()
        found[newer] = self.shelves[1].ids(rows[newer] - first).to_pylist()
        return found.tolist()

    def take(self, rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """All columns, or some, of rows [n], none of them below 0.

        Raises:
            DataError: there is no such column.
        """
        rows, first = np.asarray(rows, np.int64), len(self.shelves[0])
        names = self.columns if columns is None else check_known(columns, self.columns, "items")
        if len(self.shelves) == 1 or not len(rows) or int(rows.max()) < first:
            return select(self.shelves[0].data, names).take(pa.array(rows))
        newer = rows >= first
        pieces = [
            select(shelf.data, names).take(pa.array(rows[mine] - start))
            for shelf, mine, start in zip(self.shelves, (~newer, newer), (0, first), strict=True)
        ]
        order = np.argsort(np.concatenate([np.flatnonzero(~newer), np.flatnonzero(newer)]))
        return one_batch(pieces).take(pa.array(order))

    def mask(self, rules: Sequence[Rule]) -> np.ndarray:
        """Which rows fulfil all of the rules.  [C] bool

        Raises:
            ConfigError: a rule of a column that is not there, or that does not fit it.
        """
        found = np.ones(len(self), bool)
        for rule in rules:
            found &= np.concatenate([shelf.mask(rule) for shelf in self.shelves])
        return found

    def codes(self, column: str) -> np.ndarray:
        """A number for each row, the same where the values of the column are; -1 where it is missing.  [C] int32

        Raises:
            ConfigError: there is no such column, or it holds lists.
        """
        first, known = self.shelves[0].codes(column)
        if len(self.shelves) == 1:
            return first

        def joined() -> np.ndarray:
            second, words = self.shelves[1].codes(column)
            known_as = codes(pa.DictionaryArray.from_arrays(pc.index_in(words, value_set=known), known))
            new = np.where(known_as >= 0, known_as, len(known) + np.arange(len(words)))
            return np.concatenate([first, np.append(new, -1)[second]]).astype(np.int32)  # -1 takes the last

        return self._codes.get(column, joined)
