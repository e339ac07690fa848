"""`JoinedSource`: a log whose rows get the columns of side tables, by an id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Generator, Sequence
from contextlib import closing

import numpy as np
import pyarrow as pa

from clickwise.config import to_data
from clickwise.data.config import SideTable
from clickwise.data.plain import check_known, select
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.source import Block, Quarantine, Source
from clickwise.errors import DataError
from clickwise.features.arrays import codes, is_list
from clickwise.features.fingerprints import Fingerprints
from clickwise.features.tokens import to_tokens
from clickwise.progress import Progress

_NONE = -1


class JoinedSource(Source):
    """Every row of `log`, in its order, with the columns of the row of each table that has its id.

    A row whose id no table has, or that has none, gets nulls there: a new user or item. Ids are compared as the
    features compare values (`to_tokens`), so that 7, 7.0 and "7" are one. Of the tables, the columns that are asked for
    are read once, when they first are, and stay in memory.

    Args:
        log: the rows.
        tables: with the source of each.
    """

    def __init__(self, log: Source, tables: Sequence[Table]) -> None:
        self.name = log.name
        self.log = log
        self._tables = list(tables)
        self._columns: dict[str, pa.DataType] = {}

    def columns(self) -> dict[str, pa.DataType]:
        """Those of the log, then those of each table.

        Raises:
            DataError: there is no column with the id, or a column of a table is there already.
        """
        if not self._columns:
            found = self.log.columns()
            for table in self._tables:
                check_known([table.on], list(found), self.name)
                _check_id(found[table.on], self.name, table.on)
                for name, kind in table.columns().items():
                    if name in found:
                        problem = f"a column of this name is already there, from {self.name} or a table before"
                        fix = "say what is joined under which name: columns of the table"
                        raise DataError(problem, file=table.name, column=name, fix=fix)
                    found[name] = kind
            self._columns = found
        return dict(self._columns)

    def blocks(
        self, columns: Sequence[str] | None = None, quarantine: Quarantine | None = None
    ) -> Generator[Block, None, None]:
        """The rows of the log; only the tables that `columns` need are read.

        Raises:
            DataError: as of the log; an id twice in a table, or too many of its rows that cannot be read.
        """
        known = list(self.columns())
        wanted = known if columns is None else check_known(columns, known, self.name)
        asked, needed = set(wanted), list[Table]()
        for table in reversed(self._tables):  # an id may come from a table before
            if not asked.isdisjoint(table.columns()):
                needed.insert(0, table)
                asked.add(table.on)
        inside = [name for name in self.log.columns() if name in asked]
        with closing(self.log.blocks(inside, quarantine)) as stream:
            for block in stream:
                data = block.data
                for table in needed:
                    data = table.joined(data, asked)
                yield Block(select(data, wanted), block.file, block.file_index, block.row)

    def fingerprint(self) -> str | None:
        """A digest of the log's and of the tables' contents, with how they are joined."""
        prints = [self.log.fingerprint(), *(table.fingerprint() for table in self._tables)]
        known = [found for found in prints if found is not None]
        return hashlib.sha256("\n".join(known).encode()).hexdigest() if len(known) == len(prints) else None

    def num_rows(self) -> int | None:
        """Rows of the log."""
        return self.log.num_rows()

    def estimated_rows(self) -> int | None:
        """Rows of the log."""
        return self.log.estimated_rows()


class Table:
    """A side table: its rows by their key.

    Args:
        config: how it is joined.
        source: its rows.
        max_bad_fraction: of its rows that cannot be read.
        progress: is warned of such rows.
    """

    def __init__(
        self,
        config: SideTable,
        source: Source,
        max_bad_fraction: float,
        progress: Progress,
    ) -> None:
        self.on, self.name = config.on, source.name
        self._config, self._key, self._source = config, config.key or config.on, source
        self._max_bad_fraction, self._progress = max_bad_fraction, progress
        self._only: Collection[str] | None = None
        self._keys: Fingerprints | None = None
        self._arrays: dict[str, pa.Array] = {}

    def columns(self) -> dict[str, pa.DataType]:
        """What the log gets: names there, and types.

        Raises:
            DataError: a column that the table does not have, or that cannot be gathered.
        """
        inside = self._source.columns()
        check_known([self._key, *self._config.columns.values()], list(inside), self.name)
        _check_id(inside[self._key], self.name, self._key)
        found = {}
        for name, column in self._names().items():
            kind = inside[column]
            if self._config.gather:
                if is_list(kind):
                    raise DataError("holds lists, and lists cannot be gathered", file=self.name, column=column)
                kind = pa.list_(kind)
            if self._only is None or name in self._only:
                found[name] = kind
        return found

    def with_only(self, names: Collection[str]) -> Table:
        """The same table, of which the log gets no more than the columns `names`."""
        table = Table(self._config, self._source, self._max_bad_fraction, self._progress)
        table._only = names
        return table

    def joined(self, data: pa.RecordBatch, asked: Collection[str]) -> pa.RecordBatch:
        """`data` with those columns of this table that are `asked` for behind its own."""
        self._read()
        names = [name for name in self._arrays if name in asked]
        assert self._keys is not None
        row = _numbers(data.column(self.on), self._keys)
        at = pa.array(row, mask=row == _NONE)
        arrays = [*data.columns, *(self._arrays[name].take(at) for name in names)]
        return pa.RecordBatch.from_arrays(arrays, names=[*data.schema.names, *names])

    def fingerprint(self) -> str | None:
        """A digest of its contents and of how it is joined."""
        content = self._source.fingerprint()
        how = json.dumps({k: v for k, v in to_data(self._config).items() if k != "file"}, sort_keys=True)
        return None if content is None else content + how

    def _names(self) -> dict[str, str]:
        """The table's columns by the names that the log gives them."""
        return dict(self._config.columns) or {name: name for name in self._source.columns() if name != self._key}

    def _read(self) -> None:
        """Take in keys and columns, once: which rows can be read depends on the columns that are read together."""
        if self._keys is not None:
            return
        names = self._names()
        columns = {name: names[name] for name in self.columns()}
        whole = self._rows(list(dict.fromkeys([self._key, *columns.values()])))
        keys, key = _distinct(_one_array(whole, self._key, self.name))
        rows = np.flatnonzero(key != _NONE)
        rows = rows[np.argsort(key[rows], kind="stable")]  # by key, and of each in their order
        counts = np.bincount(key[rows], minlength=len(keys))
        if not self._config.gather:
            self._check_once(keys, counts)
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
        for name, column in columns.items():
            values = _one_array(whole, column, self.name).take(pa.array(rows))
            self._arrays[name] = pa.ListArray.from_arrays(offsets, values) if self._config.gather else values
        self._keys = Fingerprints.build(keys, 0)

    def _rows(self, columns: Sequence[str]) -> pa.Table:
        """All rows that can be read.

        Raises:
            DataError: too many cannot.
        """
        unreadable = QuarantineFile(None)
        with closing(self._source.blocks(columns, unreadable)) as stream:
            blocks = [block.data for block in stream]
        count, rows = unreadable.count, sum(map(len, blocks))
        unreadable.check(rows + count, self._max_bad_fraction)
        if not rows:
            raise DataError("there are no rows", file=self.name, fix="check the path, or the step that wrote it")
        if count:
            first = unreadable.first[0]
            where = f"{first['file']}, row {first['row']}: {first['reason']}"
            self._progress.warn(f"{count:,} rows of a side table cannot be read and join nothing; the first: {where}")
        return pa.Table.from_batches(blocks)

    def _check_once(self, keys: pa.Array, counts: np.ndarray) -> None:
        twice = np.flatnonzero(counts > 1)
        if len(twice):
            problem = f"{len(twice):,} ids have more than one row, such as {keys[int(twice[0])].as_py()!r}"
            fix = "keep one row of each, or gather them into lists: gather = true"
            raise DataError(problem, file=self.name, column=self._key, fix=fix)


def _distinct(ids: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The different ids as text [K], and which of them each id is, `_NONE` where there is none [n]."""
    tokens = to_tokens(ids, max_bytes=None)
    keys = tokens.dictionary.dictionary_encode()  # -0.0 and 0.0 are one token
    return keys.dictionary, np.append(codes(keys), _NONE)[codes(tokens)]


def _numbers(ids: pa.Array, keys: Fingerprints) -> np.ndarray:
    """The row of each id; `_NONE` where there is none.  [n] int32"""
    tokens = to_tokens(ids, max_bytes=None)
    found = np.append(keys.find(tokens.dictionary, _NONE, _NONE), np.int32(_NONE))  # the last is for -1, null
    return found[codes(tokens)]


def _one_array(table: pa.Table, name: str, file: str) -> pa.Array:
    """A column in one piece.

    Raises:
        DataError: its text is longer than one piece can hold.
    """
    array = table.column(name).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        raise DataError("holds more than 2 GiB of text, too much for a side table", file=file, column=name)
    return array


def _check_id(kind: pa.DataType, file: str, column: str) -> None:
    if is_list(kind):
        raise DataError("holds lists, and rows are joined by one id each", file=file, column=column)
