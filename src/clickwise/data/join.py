"""`JoinedSource`: a log whose rows get the columns of side tables, by an id."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.config import SideTable
from clickwise.data.plain import check_known, select
from clickwise.data.source import Block, Quarantine, Source
from clickwise.errors import DataError


class JoinedSource(Source):
    """Every row of `log`, in its order, with the columns of the row of each table that has its id.

    A row whose id no table has, or that has none, gets nulls there: a new user or item. Ids are compared as text, so
    that 7 and "7" are one. The tables are read once, when first needed, and stay in memory.

    Args:
        log: the rows.
        tables: with the source of each.
    """

    def __init__(self, log: Source, tables: Sequence[tuple[SideTable, Source]]) -> None:
        self.name = log.name
        self._log = log
        self._tables = [_Table(config, source) for config, source in tables]
        self._columns: dict[str, pa.DataType] = {}

    def columns(self) -> dict[str, pa.DataType]:
        """Those of the log, then those of each table but its key.

        Raises:
            DataError: the log has no column with the id, or a column of a table is there already.
        """
        if not self._columns:
            found = self._log.columns()
            for table in self._tables:
                check_known([table.on], list(found), self.name)
                for name, kind in table.columns().items():
                    if name in found:
                        problem = f"a column of this name is already there, from {self.name} or a table before"
                        raise DataError(problem, file=table.name, column=name, fix="rename one of the two")
                    found[name] = kind
            self._columns = found
        return dict(self._columns)

    def blocks(
        self, columns: Sequence[str] | None = None, quarantine: Quarantine | None = None
    ) -> Generator[Block, None, None]:
        """The rows of the log; only the tables that `columns` need are joined."""
        known = list(self.columns())
        wanted = known if columns is None else check_known(columns, known, self.name)
        needed = [table for table in self._tables if not table.columns().keys().isdisjoint(wanted)]
        inner = set(wanted) | {table.on for table in needed}
        inside = [name for name in self._log.columns() if name in inner]
        by_table = [name for table in needed for name in table.columns()]
        order = [name for name in known if name in inside or name in by_table]  # an id may come from a table before
        with closing(self._log.blocks(inside or known[:1], quarantine)) as stream:
            for block in stream:
                data = block.data
                for table in needed:
                    data = table.joined(data)
                assert data.schema.names == order or not inside
                yield Block(select(data, wanted), block.file, block.file_index, block.row)

    def fingerprint(self) -> str | None:
        """A digest of the log's and of the tables' contents, with how they are joined."""
        prints = [self._log.fingerprint(), *(table.source.fingerprint() for table in self._tables)]
        joins = [f"{table.on}={table.key}" for table in self._tables]
        known = [found for found in prints if found is not None]
        return hashlib.sha256("\n".join([*known, *joins]).encode()).hexdigest() if len(known) == len(prints) else None

    def num_rows(self) -> int | None:
        """Rows of the log."""
        return self._log.num_rows()

    def estimated_rows(self) -> int | None:
        """Rows of the log."""
        return self._log.estimated_rows()


class _Table:
    """A side table: its rows by their key."""

    def __init__(self, config: SideTable, source: Source) -> None:
        self.on, self.key = config.on, config.key or config.on
        self.name, self.source = source.name, source
        self._rows: pa.RecordBatch | None = None
        self._keys: pa.Array | None = None

    def columns(self) -> dict[str, pa.DataType]:
        """All but the key."""
        found = self.source.columns()
        check_known([self.key], list(found), self.name)
        return {name: kind for name, kind in found.items() if name != self.key}

    def joined(self, data: pa.RecordBatch) -> pa.RecordBatch:
        """`data` with the columns of this table behind its own."""
        rows, keys = self._read()
        at = pc.index_in(pc.cast(data.column(self.on), pa.string()), value_set=keys, skip_nulls=True)
        arrays = [*data.columns, *(column.take(at) for column in rows.columns)]
        return pa.RecordBatch.from_arrays(arrays, names=[*data.schema.names, *rows.schema.names])

    def _read(self) -> tuple[pa.RecordBatch, pa.Array]:
        if self._rows is None or self._keys is None:
            with closing(self.source.blocks()) as stream:
                whole = pa.Table.from_batches([block.data for block in stream]).combine_chunks().to_batches()[0]
            self._keys = pc.cast(whole.column(self.key), pa.string())
            self._check_keys(self._keys)
            self._rows = select(whole, list(self.columns()))
        return self._rows, self._keys

    def _check_keys(self, keys: pa.Array) -> None:
        counted = pc.value_counts(keys.drop_null())
        twice = counted.field(0).filter(pc.greater(counted.field(1), 1))
        if len(twice):
            problem = f"{len(twice):,} ids have more than one row, such as {twice[0].as_py()!r}"
            raise DataError(problem, file=self.name, column=self.key, fix="keep one row of each")
