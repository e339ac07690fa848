"""A raw column as tokens: the text that stands for each categorical value, the same whatever type the column has.

| raw value                        | token                                         |
|----------------------------------|-----------------------------------------------|
| text                             | as it is                                      |
| whole number, 3 or 3.0           | "3" (pandas turns whole numbers beside nulls into floats) |
| other number                     | the shortest decimal that reads back the same |
| true, false                      | "true", "false"                               |
| date, time stamp                 | ISO 8601, in UTC when it has a zone           |
| empty text, null, NaN            | missing                                       |
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.errors import DataError
from clickwise.features.arrays import codes, is_text, plain, text_buffers
from clickwise.features.transform import BadCell, BadCells
from clickwise.native import columns

MAX_TOKEN_BYTES = 4096
"""A longer token is a cell that cannot be read: it is a document or a broken quote, not a category."""

_SHOWN_BYTES = 200


def to_tokens(column: pa.Array, max_bytes: int | None = MAX_TOKEN_BYTES) -> pa.DictionaryArray:
    """The tokens of a column [n], as a dictionary of `string` without nulls; the index is null where one is missing.

    Args:
        max_bytes: longest token, in bytes; None sets no bound.

    Raises:
        BadCells: text that is not UTF-8, or a token that is too long. The cells have no column name yet.
        DataError: a type that holds no categories.

    >>> to_tokens(pa.array([3.0, 0.5, None, 3.0])).to_pylist()
    ['3', '0.5', None, '3']
    """
    encoded = _distinct(plain(column))
    text = _as_text(encoded.dictionary)
    problems = _problems(text, max_bytes)
    if problems:
        raise BadCells(_cells(encoded, problems))
    if pt.is_large_string(text.type) or pt.is_binary(text.type) or pt.is_large_binary(text.type):
        text = text.cast(pa.string())
    _, offsets = text_buffers(text)
    absent = np.diff(offsets) == 0
    if not absent.any():
        return encoded if text is encoded.dictionary else _dictionary_array(encoded.indices, text)
    return _without(encoded, text, absent)


def to_cells(column: pa.Array) -> pa.Array:
    """The tokens of a column [n] in the form that costs least: with kernels text stays as it is, else `to_tokens`.

    A cell of text that is null or empty is missing.

    Raises:
        BadCells, DataError: as `to_tokens`.
    """
    column = plain(column)
    if columns.compiled() and is_text(column.type):
        longest, ascii_only = columns.survey(column)
        if longest <= MAX_TOKEN_BYTES and (ascii_only or _is_utf8(column)):
            return column
    return to_tokens(column)


def _distinct(column: pa.Array) -> pa.DictionaryArray:
    """The column as a dictionary of raw values that is no longer than the column."""
    if pt.is_dictionary(column.type):
        if len(column.dictionary) > len(column) or column.dictionary.null_count:
            return _distinct(plain(column.dictionary_decode()))
        inner = plain(column.dictionary)
        return _dictionary_array(column.indices.cast(pa.int32()), inner)
    if pt.is_null(column.type):
        return _dictionary_array(pa.nulls(len(column), pa.int32()), pa.array([], pa.string()))
    try:
        return column.dictionary_encode()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise _no_categories(column.type) from None


def _dictionary_array(indices: pa.Array, dictionary: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(indices, dictionary)


def _without(encoded: pa.DictionaryArray, text: pa.Array, absent: np.ndarray) -> pa.DictionaryArray:
    """`encoded` with `text` as its dictionary, less the entries that are `absent`; their cells become null."""
    renumbered = np.append(np.cumsum(~absent, dtype=np.int32) - 1, np.int32(-1))  # the last is for -1, null
    renumbered[:-1][absent] = -1
    indices = renumbered[codes(encoded)]
    return _dictionary_array(pa.array(indices, mask=indices < 0), text.filter(pa.array(~absent)))


def _as_text(values: pa.Array) -> pa.Array:
    """The distinct values as text or bytes, not yet checked; empty where one is missing."""
    kind = values.type
    if is_text(kind):
        return values
    if pt.is_boolean(kind) or pt.is_integer(kind) or pt.is_date32(kind) or pt.is_time(kind):
        return values.cast(pa.string())
    if pt.is_floating(kind):
        return _float_text(values.to_numpy(zero_copy_only=False))
    if pt.is_decimal(kind):
        return _float_text(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pt.is_date64(kind):
        return values.cast(pa.date32()).cast(pa.string())
    if pt.is_timestamp(kind):
        return _timestamp_text(values)
    raise _no_categories(kind)


def _no_categories(kind: pa.DataType) -> DataError:
    return DataError(
        f"has type {kind}, which holds no categories", fix="leave the column out, or make it text or numbers"
    )


def _float_text(numbers: np.ndarray) -> pa.Array:
    whole = np.isfinite(numbers) & (np.abs(numbers) < 2**63)
    whole[whole] = numbers[whole] == np.trunc(numbers[whole])
    text = numbers.astype(str).astype(object)  # NumPy prints the shortest decimal of each width of float
    text[whole] = numbers[whole].astype(np.int64).astype(str)
    text[np.isnan(numbers)] = ""
    return pa.array(text, pa.string())


def _timestamp_text(stamps: pa.Array) -> pa.Array:
    """ISO 8601 without a fraction of zeros; stamps with a zone in UTC, marked Z."""
    plain_us = stamps.cast(pa.timestamp("us", stamps.type.tz), safe=False).cast(pa.int64()).cast(pa.timestamp("us"))
    text = pc.strftime(plain_us, format="%Y-%m-%dT%H:%M:%S")
    text = pc.replace_substring_regex(text, pattern=r"\.(\d*?)0+$", replacement=r".\1")
    text = pc.replace_substring_regex(text, pattern=r"\.$", replacement="")
    return pc.binary_join_element_wise(text, "Z", "") if stamps.type.tz else text


def _problems(text: pa.Array, max_bytes: int | None) -> dict[int, tuple[str, str]]:
    """Which distinct values are no tokens: position -> (the value, what is wrong)."""
    problems: dict[int, tuple[str, str]] = {}
    if not _is_utf8(text):
        for i, value in enumerate(text.cast(pa.large_binary())):
            shown = value.as_py().decode("utf-8", "backslashreplace")
            if shown.encode("utf-8") != value.as_py():
                problems[i] = (shown, "is not valid UTF-8")
    if max_bytes is not None:
        _, offsets = text_buffers(text)
        for i in np.flatnonzero(np.diff(offsets) > max_bytes).tolist():
            shown = text[i].cast(pa.large_binary()).as_py()[:_SHOWN_BYTES].decode("utf-8", "replace")
            problems.setdefault(i, (shown, f"is longer than {max_bytes} bytes"))
    return problems


def _is_utf8(text: pa.Array) -> bool:
    try:
        text.cast(pa.string()) if not _marked_utf8(text.type) else text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _marked_utf8(kind: pa.DataType) -> bool:
    return pt.is_string(kind) or pt.is_large_string(kind)


def _cells(encoded: pa.DictionaryArray, problems: dict[int, tuple[str, str]]) -> list[BadCell]:
    indices = codes(encoded)
    at = np.flatnonzero(np.isin(indices, list(problems)))
    return [BadCell(i, "", *problems[int(indices[i])]) for i in at.tolist()]
