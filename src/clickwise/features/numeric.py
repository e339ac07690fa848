"""A raw column as numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.errors import DataError
from clickwise.features.arrays import codes, is_text, plain, present, values
from clickwise.features.transform import BadCell, BadCells
from clickwise.native import columns

MISSING_TEXTS = ("", "nan", "NaN", "null", "NULL", "\\N")
"""Text that says a number is missing."""

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"


def to_numbers(column: pa.Array) -> pa.DoubleArray:
    """The column [n] as float64; null where it is missing: null, NaN, infinity, or one of `MISSING_TEXTS`.

    Raises:
        BadCells: text that is not a number. The cells have no column name yet.
        DataError: a type that holds no numbers.

    >>> to_numbers(pa.array(["2", " 1e3", "", None, "NaN"])).to_pylist()
    [2.0, 1000.0, None, None, None]
    """
    column = plain(column)
    if pt.is_dictionary(column.type):
        column = plain(column.dictionary_decode())
    kind = column.type
    if is_text(kind):
        plain_digits = columns.numbers(column) if columns.compiled() else None
        if plain_digits is not None:
            return plain_digits
        numbers = _from_text(column)
    elif pt.is_boolean(kind):
        numbers = column.cast(pa.int8()).cast(pa.float64())
    elif pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
    elif pt.is_null(kind):
        return pa.nulls(len(column), pa.float64())
    else:
        raise DataError(f"has type {kind}, which is not a number", fix="use another transform, or leave the column out")
    found = number_values(numbers)
    finite = np.isfinite(found)
    if np.count_nonzero(finite) == len(numbers) - numbers.null_count:
        return numbers
    return pa.array(found, pa.float64(), mask=~finite)


def number_values(parsed: pa.DoubleArray) -> np.ndarray:
    """[n] float64 of what `to_numbers` gives; NaN where it is missing."""
    found = values(parsed)
    return np.where(present(parsed), found, np.nan) if parsed.null_count else found


def places(x: np.ndarray, cuts: np.ndarray, first: int, missing: int) -> np.ndarray:
    """first + the number of rising `cuts` [C] at or below x [n]: [n] int32; `missing` where x is NaN."""
    if columns.compiled():
        return columns.places(x, cuts, first, missing)
    below = first + np.searchsorted(cuts, x, side="right")
    return np.where(np.isnan(x), missing, below).astype(np.int32)


def _from_text(text: pa.Array) -> pa.DoubleArray:
    try:
        text = text.cast(pa.string()) if pt.is_binary(text.type) or pt.is_large_binary(text.type) else text
        missing = pc.is_in(text, value_set=pa.array(MISSING_TEXTS, text.type))
        return pc.if_else(missing, pa.scalar(None, text.type), text).cast(pa.float64())
    except pa.ArrowInvalid:
        return _from_untidy_text(text)


def _from_untidy_text(text: pa.Array) -> pa.DoubleArray:
    """The same for text with blanks around the numbers, or with cells that are not numbers."""
    encoded = text.cast(pa.large_binary()).dictionary_encode()
    shown = [value.decode("utf-8", "backslashreplace") for value in encoded.dictionary.to_pylist()]
    trimmed = pc.utf8_trim_whitespace(pa.array(shown, pa.string()))
    missing = pc.is_in(trimmed, value_set=pa.array(MISSING_TEXTS))
    missing = pc.or_(missing, pc.match_substring_regex(trimmed, NOT_FINITE))
    readable = pc.or_(missing, pc.match_substring_regex(trimmed, NUMBER)).to_numpy(zero_copy_only=False)
    if not readable.all():
        at = codes(encoded)
        bad = np.flatnonzero((at >= 0) & ~readable[at])
        raise BadCells([BadCell(i, "", shown[at[i]], "is not a number") for i in bad.tolist()])
    return pc.if_else(missing, pa.scalar(None, pa.string()), trimmed).cast(pa.float64()).take(encoded.indices)
