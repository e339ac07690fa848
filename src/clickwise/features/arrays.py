"""Arrow arrays brought to a few forms, and their buffers as NumPy views."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

_STRING_KINDS = (pt.is_string, pt.is_large_string, pt.is_string_view)
_BINARY_KINDS = (pt.is_binary, pt.is_large_binary, pt.is_binary_view, pt.is_fixed_size_binary)
_TEXT_KINDS = (*_STRING_KINDS, *_BINARY_KINDS)
_LIST_KINDS = (pt.is_list, pt.is_large_list, pt.is_fixed_size_list, pt.is_list_view, pt.is_large_list_view)


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as one array: chunks joined, extension types by their storage, runs and views decoded.

    Dictionaries and lists stay what they are.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # too big for one array of its type, or empty
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if isinstance(column.type, pa.BaseExtensionType):
        return plain(column.storage)
    if pt.is_run_end_encoded(column.type):
        return plain(pc.run_end_decode(column))
    if pt.is_string_view(column.type):
        return column.cast(pa.large_string())
    if pt.is_binary_view(column.type) or pt.is_fixed_size_binary(column.type):
        return column.cast(pa.large_binary())
    return column


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of this type are text or bytes."""
    return any(check(kind) for check in _TEXT_KINDS)


def is_list(kind: pa.DataType) -> bool:
    """Whether a cell of this type holds many values."""
    return any(check(kind) for check in _LIST_KINDS)


def text_buffers(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of a string or binary array [total] uint8, and where each cell starts and ends in them [n + 1] int64.

    Both are views of the array's memory where the type allows. What a null cell spans is not defined.
    """
    width = np.int64 if pt.is_large_string(text.type) or pt.is_large_binary(text.type) else np.int32
    _, offset_buffer, data_buffer = text.buffers()
    if not len(text) or offset_buffer is None:
        return np.zeros(0, np.uint8), np.zeros(len(text) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, width)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    return data, offsets.astype(np.int64)


def nulls_but(array: pa.Array, mask: np.ndarray) -> pa.Array:
    """The array with a null wherever `mask` [n] is false. Text and numbers keep their buffers; others are copied."""
    kind, n = array.type, len(array)
    if n == 0 or bool(mask.all()):
        return array
    text = pt.is_string(kind) or pt.is_large_string(kind)
    if not (text or pt.is_integer(kind) or pt.is_floating(kind) or pt.is_timestamp(kind)):
        return array.take(pa.array(np.arange(n), mask=~mask))
    kept = mask & present(array) if array.null_count else mask
    validity = pa.py_buffer(np.packbits(kept, bitorder="little"))
    width = (8 if pt.is_large_string(kind) else 4) if text else kind.bit_width // 8
    first = array.buffers()[1].slice(array.offset * width, (n + text) * width)
    return pa.Array.from_buffers(kind, n, [validity, first, *array.buffers()[2:]], n - int(np.count_nonzero(kept)))


def values(array: pa.Array) -> np.ndarray:
    """Booleans, or a view of whole or floating numbers [n]; what stands where a cell is null is not defined.

    Arrow's own `to_numpy` imports pandas where it is installed, which takes longer than many a prediction.
    """
    data, n = array.buffers()[1], len(array)
    if pt.is_boolean(array.type):
        return _bits(data, array.offset, n)
    dtype = np.dtype(array.type.to_pandas_dtype())
    return np.frombuffer(data, dtype, n, array.offset * dtype.itemsize) if n else np.zeros(0, dtype)


def present(array: pa.Array) -> np.ndarray:
    """[n] bool: where a cell is not null."""
    if not array.null_count:
        return np.ones(len(array), bool)
    validity = array.buffers()[0]
    return np.zeros(len(array), bool) if validity is None else _bits(validity, array.offset, len(array))


def _bits(buffer: pa.Buffer, first: int, count: int) -> np.ndarray:
    if not count:
        return np.zeros(0, bool)
    packed = np.frombuffer(buffer, np.uint8)[first // 8 :]
    return np.unpackbits(packed, count=first % 8 + count, bitorder="little")[first % 8 :].view(bool)


def codes(encoded: pa.DictionaryArray) -> np.ndarray:
    """[n] integer positions in the dictionary; -1 where the cell is null."""
    indices = encoded.indices
    return values(indices.fill_null(-1) if indices.null_count else indices)


def spread(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The positions starts[i], starts[i] + 1, ... for `lengths[i]` of them, one row i after the other.

    >>> spread(np.array([10, 3]), np.array([2, 3])).tolist()
    [10, 11, 3, 4, 5]
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
