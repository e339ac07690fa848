"""Rows that are in memory, or come as a stream: frames of any library that speaks Arrow, lists and dicts."""

from __future__ import annotations

import os
import tempfile
import weakref
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.atomic import disk_errors
from clickwise.data.plain import check_known, plain_columns, plain_piece, slices
from clickwise.data.readers.columnar import ipc_batches
from clickwise.data.readers.reader import hand_over, unique_names
from clickwise.data.source import Block, Quarantine, Source
from clickwise.errors import DataError, clipped, nearest

_IN_MEMORY = ("pandas", "polars")
_MOST_NAMED = 50
_NOT_AN_ARRAY = (pa.ArrowException, TypeError, ValueError, OverflowError)


class FrameSource(Source):
    """Rows from Arrow record batches that can be asked for again and again.

    Args:
        name: what to call it in messages.
        schema: names and types, as they come.
        batches: gives the record batches anew, with only the columns it is given.
        batch_rows: most rows in a block.
        rows: how many rows there are.
    """

    def __init__(
        self,
        name: str,
        schema: pa.Schema,
        batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]],
        batch_rows: int,
        rows: int,
    ) -> None:
        self.name = name
        unique_names(schema.names, name)
        self._columns = plain_columns(schema)
        self._batches = batches
        self._batch_rows = batch_rows
        self._rows = rows

    def columns(self) -> dict[str, pa.DataType]:
        """Names and plain types."""
        return dict(self._columns)

    def blocks(
        self, columns: Sequence[str] | None = None, quarantine: Quarantine | None = None
    ) -> Generator[Block, None, None]:
        """The rows; those with text that is not UTF-8 are bad."""
        if not self._rows:
            raise DataError("there are no rows", file=self.name)
        known = list(self._columns)
        wanted = known if columns is None else check_known(columns, known, self.name)
        done = 0
        for batch in self._batches(wanted):
            row = np.arange(done + 1, done + 1 + batch.num_rows, dtype=np.int64)
            done += batch.num_rows
            for part, part_row in slices(batch, row, self._batch_rows):
                piece = plain_piece(part, part_row)
                hand_over(piece.bad, self.name, quarantine)
                if len(piece.row):
                    yield Block(piece.data, self.name, 0, piece.row)

    def fingerprint(self) -> str | None:
        """None: what is in memory has no lasting identity."""
        return None

    def num_rows(self) -> int | None:
        """All of them."""
        return self._rows


def frame_source(data: Any, batch_rows: int, spill_dir: str | None = None) -> FrameSource:
    """A source over a frame, an Arrow stream, a list of dict rows or a dict of columns.

    Tables of pyarrow, pandas and polars are read where they are. Anything else that gives an Arrow stream may be
    readable only once, so it is written to a temporary file, which goes away with the source.

    Raises:
        DataError: not such a thing, or its columns do not fit each other.
    """
    if isinstance(data, pa.RecordBatchReader) or (hasattr(data, "__arrow_c_stream__") and not _in_memory(data)):
        with _conversion("stream"):
            stream = data if isinstance(data, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(data)
        return spilled_source("stream", stream, batch_rows, spill_dir)
    return table_source("frame", _table(data, None), batch_rows)


def table_source(name: str, table: pa.Table, batch_rows: int) -> FrameSource:
    """A source over a table in memory."""
    unique_names(table.schema.names, name)
    return FrameSource(
        name,
        table.schema,
        lambda columns: iter(table.select(list(columns)).to_batches(max_chunksize=batch_rows)),
        batch_rows,
        table.num_rows,
    )


def spilled_source(name: str, stream: pa.RecordBatchReader, batch_rows: int, spill_dir: str | None) -> FrameSource:
    """A source over a stream that can be read once: written to a temporary Arrow file in `spill_dir`.

    The file is removed when the source is no longer used, at the latest when the process ends.

    Raises:
        DataError: the disk is full, or the stream breaks off.
    """
    folder = Path(spill_dir or tempfile.gettempdir())
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle, file = tempfile.mkstemp(prefix="clickwise-", suffix=".arrow", dir=folder)
        os.close(handle)
    try:
        schema, rows = _spill(name, stream, file)
        if not rows:
            raise DataError("there are no rows", file=name)
        source = FrameSource(name, schema, lambda columns: ipc_batches(file, columns), batch_rows, rows)
    except BaseException:
        os.unlink(file)
        raise
    weakref.finalize(source, Path(file).unlink, missing_ok=True)
    return source


def rows_to_batch(rows: Any, columns: Sequence[str]) -> pa.RecordBatch:
    """`columns` of some rows, as one record batch in plain types, for scoring.

    Args:
        rows: a list of dicts, a dict of columns, or anything that speaks Arrow. In a list, a key that some rows
            lack is missing there (null); one that all rows lack is an error.
        columns: the columns to give, in order.

    Raises:
        DataError: a column is not there, or its values do not fit each other.

    >>> rows_to_batch([{"user": "a", "age": 30}, {"user": "b"}], ["age", "user"]).to_pydict()
    {'age': [30, None], 'user': ['a', 'b']}
    """
    table = _table(rows, columns)
    _chosen(table.schema.names, columns)
    unique_names([name for name in table.schema.names if name in columns], "rows")
    table = table.select(list(columns)).combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.columns]
    batch = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    piece = plain_piece(batch, np.arange(1, table.num_rows + 1, dtype=np.int64))
    if piece.bad:
        bad = piece.bad[0]
        raise DataError(bad.reason, file="rows", row=bad.row, column=bad.column, value=bad.value)
    return piece.data


def _table(data: Any, columns: Sequence[str] | None) -> pa.Table:
    """`data` as a table; of lists and dicts, only `columns` where given."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, Mapping):
        for name in data if columns is None else [name for name in columns if name in data]:
            _check_column(str(name), data[name])
        return _columns_table({name: data[name] for name in _chosen(list(data), columns)})
    if isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data):
        names = list(dict.fromkeys(key for row in data for key in row)) if data else list(columns or ())
        return _columns_table({name: [row.get(name) for row in data] for name in _chosen(names, columns)})
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        with _conversion("frame"):
            return pa.table(data)
    raise DataError(
        f"cannot read rows from a {type(data).__name__}",
        fix="give a path, a frame of pandas, polars or pyarrow, a list of dicts or a dict of columns",
    )


def _chosen(names: list[Any], columns: Sequence[str] | None) -> Sequence[Any]:
    """`columns`, which must be among `names`; all `names` when it is None."""
    if columns is None:
        return names
    there = set(names)
    missing = [column for column in columns if column not in there]
    if not missing:
        return columns
    others, fix = [str(name) for name in names if name not in columns], "give None where there is no value"
    if len(missing) == 1:
        raise DataError(f"is not in the rows{nearest(missing[0], others)}", column=missing[0], fix=fix)
    told = ", ".join(f"{column!r}{nearest(column, others)}" for column in missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    raise DataError(f"{len(missing)} columns are not in the rows: {told}{more}", fix=fix)


def _columns_table(columns: Mapping[Any, Any]) -> pa.Table:
    arrays = {str(name): _array(str(name), values) for name, values in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns differ in length: {clipped(lengths)}", file="rows")
    return pa.table(arrays)


def _check_column(name: str, values: Any) -> None:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        problem, fix = "a column must be a list of values", "a single row is given in a list: [row]"
        raise DataError(problem, file="rows", column=name, value=values, fix=fix)


def _array(name: str, values: Any) -> pa.Array:
    """`values` as an array; says which of them does not fit."""
    try:
        return pa.array(values)
    except _NOT_AN_ARRAY as error:
        row = 1 + bisect_left(range(1, len(values) + 1), True, key=lambda size: not _fits(values[:size]))
        problem = "is of another kind than the rows before it" if row > 1 else "is no value of a column"
        raise DataError(problem, file="rows", row=row, column=name, value=values[row - 1]) from error


def _fits(values: Any) -> bool:
    try:
        pa.array(values)
    except _NOT_AN_ARRAY:
        return False
    return True


def _spill(name: str, stream: pa.RecordBatchReader, file: str) -> tuple[pa.Schema, int]:
    """Write `stream` to `file`; its schema and how many rows there were."""
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    new = pa.ipc.new_stream
    with disk_errors(Path(file)), pa.OSFile(file, "wb") as out, new(out, stream.schema, options=options) as to:
        for batch in _read(name, stream):
            rows += batch.num_rows
            to.write_batch(batch)
    return stream.schema, rows


def _read(name: str, stream: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches of `stream`; its errors are told from those of the disk they are written to."""
    while True:
        try:
            with _conversion(name):
                batch = stream.read_next_batch()
        except StopIteration:
            return
        except OSError as error:
            raise DataError(f"breaks off: {' '.join(str(error).split())}", file=name) from error
        yield batch


@contextmanager
def _conversion(name: str) -> Iterator[None]:
    """Turn what Arrow says about a frame or stream into one line."""
    try:
        yield
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"cannot be read: {' '.join(str(error).split())}", file=name) from error


def _in_memory(data: Any) -> bool:
    return isinstance(data, pa.Table | pa.RecordBatch) or type(data).__module__.partition(".")[0] in _IN_MEMORY
