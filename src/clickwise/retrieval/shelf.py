"""`Shelf`: items by row number, with all their columns, and the row of an id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.frames import rows_to_batch
from clickwise.errors import BundleError, ConfigError, DataError, nearest
from clickwise.features.arrays import codes, is_list, values
from clickwise.features.fingerprints import Fingerprints
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCells
from clickwise.features.xxh64 import xxh64
from clickwise.retrieval.bounded import Bounded
from clickwise.retrieval.rules import Rule
from clickwise.retrieval.vector_index import map_array, read_state, write_state

_ITEMS, _HASHES, _ROWS = "items.arrow", "hashes.npy", "rows.npy"
_KEPT_BYTES = 64 << 20


class Shelf:
    """C items in the order of their rows. Immutable; several threads may use it.

    Args:
        data: the items, in plain types.
        id_column: the column that names them.
        index: fingerprints of ids and the rows that have them; of rows with the same id, at most one is there.
    """

    def __init__(self, data: pa.RecordBatch, id_column: str, index: Fingerprints) -> None:
        self.data, self.id_column, self.index = data, id_column, index
        self._masks: Bounded[str, np.ndarray] = Bounded(_KEPT_BYTES, len)
        self._codes: Bounded[str, tuple[np.ndarray, pa.Array]] = Bounded(_KEPT_BYTES, lambda kept: kept[0].nbytes)

    @classmethod
    def of(cls, items: Any, id_column: str, name: str = "items") -> Shelf:
        """A shelf of distinct items.

        Args:
            items: anything with rows, with at least the column of ids.
            name: what to call it in messages.

        Raises:
            DataError: a column is missing, or an id is missing, unreadable or there twice.
        """
        data = plain_items(items, id_column)
        ids = _ids(data.column(id_column), id_column, name)
        rows = np.arange(len(ids))
        _check_ids(ids, id_column, name)
        return cls(data, id_column, _fingerprints(ids, rows))

    def followed_by(self, data: pa.RecordBatch, kept: np.ndarray) -> Shelf:
        """With more items behind these.

        Args:
            data: of the same schema.
            kept: [C + more] bool, the rows whose ids are to be found; they are distinct.
        """
        return Shelf(one_batch([self.data, data]), self.id_column, self.index).finding(kept)

    def finding(self, kept: np.ndarray) -> Shelf:
        """The same items, where only the ids of the rows `kept` [C] bool, which are distinct, are to be found."""
        rows = np.flatnonzero(kept)
        ids = _ids(self.data.column(self.id_column).take(pa.array(rows)), self.id_column, "items")
        return Shelf(self.data, self.id_column, _fingerprints(ids, rows))

    def __len__(self) -> int:
        return self.data.num_rows

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.data.schema

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.data.schema.names)

    def rows_of(self, ids: pa.Array) -> np.ndarray:
        """Rows of ids [n], text; -1 for one that is not here.  [n] int64"""
        rows = self.index.find(ids, -1, -1).astype(np.int64)
        there = np.flatnonzero(rows >= 0)
        same = pc.equal(pc.cast(self.ids(rows[there]), ids.type), ids.take(pa.array(there)))
        rows[there[~values(same)]] = -1  # another id of the same fingerprint
        return rows

    def ids(self, rows: np.ndarray) -> pa.Array:
        """Ids of `rows` [n], as text."""
        return _ids(self.data.column(self.id_column).take(pa.array(rows)), self.id_column, "items")

    def mask(self, rule: Rule) -> np.ndarray:
        """Where a rule holds.  [C] bool, kept for the next time and therefore read-only.

        Raises:
            ConfigError: there is no such column, or the rule does not fit it.
        """
        if rule.column not in self.data.schema.names:
            listed = f"{nearest(rule.column, self.columns)}; items have {', '.join(self.columns)}"
            raise ConfigError(f"rule {rule}", f"there is no column {rule.column!r}{listed}")

        def made() -> np.ndarray:
            found = rule.holds(self.data.column(rule.column))
            found.flags.writeable = False
            return found

        return self._masks.get(repr(rule), made)

    def codes(self, column: str) -> tuple[np.ndarray, pa.Array]:
        """A number for each row, [C] int32, which is the place of its value in the array; -1 where it is missing.

        Raises:
            ConfigError: there is no such column, or it holds lists.
        """
        if column not in self.columns or is_list(self.data.schema.field(column).type):
            fit = [field.name for field in self.data.schema if not is_list(field.type)]
            raise ConfigError(column, f"is no column with one value an item{nearest(column, fit)}: {', '.join(fit)}")

        def encoded() -> tuple[np.ndarray, pa.Array]:
            found = self.data.column(column).dictionary_encode()
            return codes(found), found.dictionary

        return self._codes.get(column, encoded)

    def save(self, folder: Path) -> None:
        """Write it into a new folder.

        Raises:
            OSError: the folder cannot be written to.
        """
        folder.mkdir(parents=True)
        with pa.OSFile(str(folder / _ITEMS), "wb") as file, pa.ipc.new_file(file, self.data.schema) as writer:
            writer.write_batch(self.data)
        np.save(folder / _HASHES, self.index.hashes)
        np.save(folder / _ROWS, self.index.ids)
        write_state(folder, {"seed": self.index.seed, "id_column": self.id_column})

    @classmethod
    def load(cls, folder: Path) -> Shelf:
        """What `save` wrote, mapped from its files.

        Raises:
            BundleError: a file is missing, damaged or makes no sense.
        """
        state, path = read_state(folder, {"seed": int, "id_column": str}), folder / _ITEMS
        try:
            file = pa.ipc.open_file(pa.memory_map(str(path), "r"))
            data = file.get_batch(0)
            data.validate()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise BundleError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
        seed, id_column = state["seed"], state["id_column"]
        hashes = map_array(folder / _HASHES, np.uint64)
        rows = map_array(folder / _ROWS, np.int32, hashes.shape)
        fits = id_column in data.schema.names and len(rows) <= data.num_rows and bool((hashes[1:] > hashes[:-1]).all())
        if not fits or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < data.num_rows):
            raise BundleError(f"{folder}: the index of ids does not belong to the items; the index is damaged")
        return cls(data, id_column, Fingerprints(seed, np.asarray(hashes), np.asarray(rows)))


def one_batch(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The rows of batches of one schema, one behind the other."""
    table = pa.Table.from_batches(batches).combine_chunks()
    found = table.to_batches()
    if len(found) > 1:
        raise DataError("have a column of more than 2 GB of text", file="items", fix="leave it out of the catalogue")
    return found[0] if found else batches[0]


def plain_items(items: Any, id_column: str, columns: Sequence[str] | None = None) -> pa.RecordBatch:
    """Items as one record batch in plain types; a column of nothing but nulls is text.

    Raises:
        DataError: a column is missing, or cannot be read.
    """
    table = items if isinstance(items, pa.Table) else pa.table(items)
    names = table.schema.names
    for name in (id_column, *(columns or ())):
        if name not in names:
            raise DataError(f"is missing{nearest(name, names)}", file="items", column=name, fix="give it for all items")
    data = rows_to_batch(table, list(columns or names))
    for at, field in enumerate(data.schema):
        if pa.types.is_null(field.type):
            data = data.set_column(at, field.name, data.column(at).cast(pa.string()))
    return data


def ids_as_text(ids: Sequence[str] | pa.Array) -> pa.Array:
    """Ids as an array of text.

    Raises:
        DataError: one is no text.
    """
    if isinstance(ids, pa.Array | pa.ChunkedArray):
        return to_tokens(ids).dictionary_decode()
    try:
        return pa.array(ids, pa.string())
    except (pa.ArrowException, TypeError, ValueError):
        odd = next((one for one in ids if one is not None and not isinstance(one, str)), ids)
        raise DataError("is no id of an item", value=odd, fix="give ids as text") from None


def _ids(column: pa.Array, id_column: str, name: str) -> pa.Array:
    """A column of ids as text."""
    if pa.types.is_string(column.type):
        return column
    try:
        return to_tokens(column).dictionary_decode()
    except BadCells as bad:
        cell = bad.cells[0]
        raise DataError(cell.problem, file=name, row=cell.position + 1, column=id_column, value=cell.value) from None


def _check_ids(ids: pa.Array, id_column: str, name: str) -> None:
    """Raise a `DataError` where an id is missing or comes twice."""
    empty = pc.fill_null(pc.equal(pc.binary_length(ids), 0), True)
    if pc.any(empty).as_py():
        row = int(pc.index(empty, True).as_py()) + 1
        raise DataError("is missing", file=name, row=row, column=id_column, fix="give every item an id")
    hashes = xxh64(ids, 0)
    order = np.argsort(hashes, kind="stable")
    again = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    pairs = ((int(order[at + 1]), int(order[at])) for at in again.tolist())
    doubles = sorted((late, early) for late, early in pairs if ids[late].as_py() == ids[early].as_py())
    if doubles:
        late, early = doubles[0]
        text = ids[late].as_py()
        problem, fix = f"comes twice, in row {early + 1} too", "keep one row for each item"
        raise DataError(problem, file=name, row=late + 1, column=id_column, value=text, fix=fix)


def _fingerprints(ids: pa.Array, rows: np.ndarray) -> Fingerprints:
    """Where to find each of distinct `ids` [n], which stand in `rows` [n]."""
    found = Fingerprints.build(ids, 0)
    return Fingerprints(found.seed, found.hashes, rows[found.ids].astype(np.int32))
