"""Parquet and Arrow IPC (files and streams; Feather version 2 is such a file)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clickwise.data.plain import plain_columns, plain_piece, select, slices
from clickwise.data.readers.reader import Piece, Reader, reading, unique_names
from clickwise.errors import DataError

_PAGE_BUFFER_BYTES = 1 << 20


class ParquetReader(Reader):
    """Row groups in slices of `batch_rows`, pages read as they are needed, and only of the columns asked for."""

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows

    def columns(self, file: str) -> dict[str, pa.DataType]:
        """From the footer."""
        with reading(file, "Parquet"), self._open(file) as opened:
            unique_names(opened.schema_arrow.names, file)
            return plain_columns(opened.schema_arrow)

    def num_rows(self, file: str) -> int | None:
        """From the footer."""
        with reading(file, "Parquet"), self._open(file) as opened:
            return int(opened.metadata.num_rows)

    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows of `file`; those with text that is not UTF-8 are bad."""
        done = 0
        with reading(file, "Parquet"), self._open(file) as opened:
            for data in opened.iter_batches(self._batch_rows, columns=list(columns), use_threads=False):
                row = np.arange(done + 1, done + 1 + data.num_rows, dtype=np.int64)
                done += data.num_rows
                yield plain_piece(select(data, columns), row)

    def _open(self, file: str) -> pq.ParquetFile:
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=_PAGE_BUFFER_BYTES)


class ArrowReader(Reader):
    """Arrow IPC through a memory map, so that only the columns asked for are read."""

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows

    def columns(self, file: str) -> dict[str, pa.DataType]:
        """From the schema message."""
        schema = ipc_schema(file)
        unique_names(schema.names, file)
        return plain_columns(schema)

    def num_rows(self, file: str) -> int | None:
        """From the record batches of an IPC file; a stream has to be read."""
        with reading(file, "Arrow IPC"), pa.memory_map(file) as source:
            if not _is_ipc_file(source, file):
                return None
            opened = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=[0]))
            return sum(opened.get_batch(i).num_rows for i in range(opened.num_record_batches))

    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows of `file`; those with text that is not UTF-8 are bad."""
        done = 0
        for data in ipc_batches(file, columns):
            row = np.arange(done + 1, done + 1 + data.num_rows, dtype=np.int64)
            done += data.num_rows
            for part, part_row in slices(data, row, self._batch_rows):
                yield plain_piece(part, part_row)


def ipc_schema(file: str) -> pa.Schema:
    """The schema of an Arrow IPC file or stream."""
    with reading(file, "Arrow IPC"), pa.memory_map(file) as source:
        is_file = _is_ipc_file(source, file)
        return pa.ipc.open_file(source).schema if is_file else pa.ipc.open_stream(source).schema


def ipc_batches(file: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The record batches of an Arrow IPC file or stream, with only `columns`."""
    with reading(file, "Arrow IPC"), pa.memory_map(file) as source:
        names = ipc_schema(file).names
        options = pa.ipc.IpcReadOptions(included_fields=[names.index(name) for name in columns])
        if _is_ipc_file(source, file):
            opened = pa.ipc.open_file(source, options=options)
            for i in range(opened.num_record_batches):
                yield select(opened.get_batch(i), columns)
        else:
            for batch in pa.ipc.open_stream(source, options=options):
                yield select(batch, columns)


def _is_ipc_file(source: pa.NativeFile, file: str) -> bool:
    """Whether it is an IPC file (with a footer) rather than a stream; the position stays at the beginning."""
    start = source.read(6)
    source.seek(0)
    if not start:
        raise DataError("the file is empty", file=file)
    if start.startswith(b"FEA1"):
        raise DataError("is Feather version 1", file=file, fix="write it again as version 2 or as Parquet")
    return bool(start == b"ARROW1")
