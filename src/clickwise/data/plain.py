"""One Arrow type for one meaning, so that nothing downstream asks which of Arrow's four kinds of text it got."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.data.readers.reader import BadRow, Piece
from clickwise.errors import DataError, nearest


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that a column of type `kind` is given as.

    Dictionaries are decoded, all text and bytes become `string`, all lists `list`, decimals `double`, `half_float`
    becomes `float`, extension types their storage. Other types stay.

    >>> plain_type(pa.dictionary(pa.int8(), pa.large_string()))
    DataType(string)
    >>> plain_type(pa.large_list(pa.binary()))
    ListType(list<item: string>)
    """
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if _is_text(kind):
        return pa.string()
    if _is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pt.is_decimal(kind):
        return pa.float64()
    return pa.float32() if pt.is_float16(kind) else kind


def plain_piece(data: pa.RecordBatch, row: np.ndarray) -> Piece:
    """`data` in plain types; rows with text that is not UTF-8 are bad."""
    arrays, bad = [], []
    for name, array in zip(data.schema.names, data.columns, strict=True):
        column, wrong = _plain_column(array)
        arrays.append(column)
        for position in wrong:
            value = _shown(array[int(position)])
            bad.append(BadRow(int(row[position]), "is not valid UTF-8", name, value, value))
    return Piece(pa.RecordBatch.from_arrays(arrays, names=data.schema.names), row, []).without(bad)


def plain_columns(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Names and plain types; the nameless index that pandas adds to a frame is left out."""
    return {f.name: plain_type(f.type) for f in schema if not f.name.startswith("__index_level_")}


def select(data: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """`columns` of `data`, in that order."""
    return pa.RecordBatch.from_arrays([data.column(name) for name in columns], names=list(columns))


def slices(data: pa.RecordBatch, row: np.ndarray, batch_rows: int) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """`data` and `row` cut into pieces of at most `batch_rows`."""
    for start in range(0, data.num_rows, batch_rows):
        yield data.slice(start, batch_rows), row[start : start + batch_rows]


def check_known(columns: Sequence[str], known: Sequence[str], name: str) -> list[str]:
    """`columns` as a list.

    Raises:
        DataError: one of them is not `known`.
    """
    assert columns, "ask for one column at least"
    for column in columns:
        if column not in known:
            shown = ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")
            raise DataError(f"has no such column{nearest(column, known)}; it has {shown}", file=name, column=column)
    return list(columns)


def _plain_column(array: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The column in its plain type, and the positions whose text is not UTF-8 (null there)."""
    array = _unpacked(array)
    target = plain_type(array.type)
    if not _holds_text(array.type):
        return (array if array.type == target else pc.cast(array, target)), np.empty(0, np.int64)
    bad = np.fromiter(_not_utf8(array, 0), np.int64)
    if len(bad):
        mask = np.zeros(len(array), bool)
        mask[bad] = True
        array = pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)
    return (array if array.type == target else pc.cast(array, target)), bad


def _unpacked(array: pa.Array) -> pa.Array:
    """`array` without an extension, dictionary, run-end or view layout: few of Arrow's functions take those."""
    if isinstance(array, pa.ExtensionArray):
        return _unpacked(array.storage)
    if pt.is_dictionary(array.type):
        return pa.DictionaryArray.from_arrays(array.indices, _unpacked(array.dictionary)).dictionary_decode()
    if pt.is_run_end_encoded(array.type):
        return _unpacked(pc.run_end_decode(array))
    if pt.is_string_view(array.type) or pt.is_binary_view(array.type):
        return pc.cast(array, pa.string() if pt.is_string_view(array.type) else pa.binary())
    if _is_list(array.type) and plain_type(array.type) != array.type:
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        return pa.ListArray.from_arrays(offsets, _unpacked(array.flatten()), mask=pc.is_null(array))
    return array


def _not_utf8(array: pa.Array, start: int) -> Iterator[int]:
    """Positions of text that is not UTF-8. Halves an array that is not valid, so good data costs one pass."""
    values = array
    while not _is_text(values.type):
        values = values.flatten()
    try:
        pc.cast(values if _is_binary(values.type) else pc.cast(values, _bytes_of(values.type)), pa.string())
    except pa.ArrowInvalid:
        if len(array) == 1:
            yield start
            return
        half = len(array) // 2
        yield from _not_utf8(array.slice(0, half), start)
        yield from _not_utf8(array.slice(half), start + half)


def _shown(value: pa.Scalar) -> str:
    """A scalar with bytes that are not UTF-8, as readable text."""
    if _is_list(value.type):
        return " ".join(_shown(item) for item in value.values or [])
    data = value.as_buffer().to_pybytes() if value.is_valid else b""
    return data.decode("utf-8", errors="backslashreplace")


def _holds_text(kind: pa.DataType) -> bool:
    return _is_text(kind) or (_is_list(kind) and _holds_text(kind.value_type))


def _is_text(kind: pa.DataType) -> bool:
    return pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind) or _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind)


def _bytes_of(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pt.is_large_string(kind) else pa.binary()


def _is_list(kind: pa.DataType) -> bool:
    views = pt.is_list_view(kind) or pt.is_large_list_view(kind)
    return views or pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind)
