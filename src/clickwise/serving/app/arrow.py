"""Arrow IPC streams from clients that are not trusted: bounded in rows and memory, checked through and through."""

from __future__ import annotations

import struct

import pyarrow as pa

from clickwise.errors import RequestError

CONTENT_TYPE = b"application/vnd.apache.arrow.stream"

_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
_HEADER_TYPE, _HEADER = 1, 2
_DICTIONARY_DATA = 1
_COMPRESSION = 3


def read_rows(body: bytes, max_rows: int) -> pa.RecordBatch:
    """The rows of a stream, uncompressed, in one record batch.

    Raises:
        RequestError: it is no such stream, is damaged, is compressed, or has too many rows.
    """
    try:
        for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
            if message.type in ("record batch", "dictionary") and _is_compressed(message.metadata.to_pybytes()):
                problem = "the Arrow stream is compressed, and how large it becomes is not known before"
                raise RequestError(problem, fix="write it without compression")
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            batches, rows = [], 0
            for batch in reader:
                rows += batch.num_rows
                if rows > max_rows:
                    raise RequestError(f"has more than {max_rows:,} rows", fix="send several requests")
                batch.validate(full=True)
                batches.append(batch)
            if len(batches) == 1:
                return batches[0]
            table = pa.Table.from_batches(batches, reader.schema).unify_dictionaries().combine_chunks()
    except (pa.ArrowException, OSError, struct.error, IndexError, ValueError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RequestError(f"cannot be read as an Arrow IPC stream: {reason[:200]}") from None
    found = table.to_batches()
    return found[0] if found else pa.RecordBatch.from_pylist([], schema=table.schema)


def write_rows(batch: pa.RecordBatch) -> bytes:
    """A stream of one record batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _is_compressed(metadata: bytes) -> bool:
    """Whether the bodies of a message's buffers are compressed: a walk through its flatbuffer, which pyarrow does not
    offer. Raises what a damaged one leads to.
    """
    message = _at(metadata, 0)
    header = _table_field(metadata, message, _HEADER)
    kind_at = _field(metadata, message, _HEADER_TYPE)
    kind = metadata[kind_at] if kind_at else 0
    if kind == _DICTIONARY_BATCH and header:
        header = _table_field(metadata, header, _DICTIONARY_DATA)
    elif kind != _RECORD_BATCH:
        return False
    return bool(header and _field(metadata, header, _COMPRESSION))


def _at(data: bytes, place: int) -> int:
    """Where the unsigned offset at `place` leads."""
    return place + int(struct.unpack_from("<I", data, place)[0])


def _table_field(data: bytes, table: int, number: int) -> int:
    found = _field(data, table, number)
    return _at(data, found) if found else 0


def _field(data: bytes, table: int, number: int) -> int:
    """Place of a field of the table at `table`; 0 where it is left out."""
    rows = table - int(struct.unpack_from("<i", data, table)[0])
    if rows < 0:
        raise ValueError("its metadata is damaged")
    size, entry = int(struct.unpack_from("<H", data, rows)[0]), 4 + 2 * number
    offset = int(struct.unpack_from("<H", data, rows + entry)[0]) if entry + 2 <= size else 0
    return table + offset if offset else 0
