"""A raw column as time stamps."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.errors import DataError
from clickwise.features.arrays import codes, is_text, plain
from clickwise.features.numeric import MISSING_TEXTS, to_numbers
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCell, BadCells

_MICROSECONDS = pa.timestamp("us")
_NO_TIME = "is not a time; give its format, such as %d/%m/%Y or %y%m%d%H"
_UNIX_TIME = r"^\s*[+-]?\d+(\.\d*)?\s*$"
_HAS_ZONE = r"\d\s*(Z|[+-]\d\d(:?\d\d)?)$"


def to_timestamps(column: pa.Array, format: str | None = None) -> pa.TimestampArray:
    """The column [n] as timestamp[us] in UTC; null where it is missing.

    Read are Arrow time stamps and dates, ISO 8601 text, and Unix times as numbers or text. Of a Unix time the digits
    before the point say the unit: up to 7 and 9 or 10 seconds, 12 or 13 milliseconds, 15 or 16 microseconds, 18 or 19
    nanoseconds. Eight digits (20141021, 14102100) may be a date, so they need a `format`.

    Args:
        format: a `strptime` format, for text and for numbers read as text.

    Raises:
        BadCells: a cell that is not a time. The cells have no column name yet.
        DataError: a type that holds no times.

    >>> to_timestamps(pa.array(["14102113", None]), "%y%m%d%H").to_pylist()
    [datetime.datetime(2014, 10, 21, 13, 0), None]
    """
    column = plain(column)
    kind = column.type
    if pt.is_timestamp(kind):
        in_utc = column.cast(pa.timestamp("us", kind.tz), safe=False)
        return in_utc.cast(pa.int64()).cast(_MICROSECONDS)
    if pt.is_date(kind):
        return column.cast(_MICROSECONDS)
    if pt.is_null(kind):
        return pa.nulls(len(column), _MICROSECONDS)
    number = pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind)
    if number and format is None:
        return _from_numbers(to_numbers(column))
    if number or is_text(kind) or pt.is_dictionary(kind):
        return _from_text(to_tokens(column), format)
    raise DataError(f"has type {kind}, which is not a time", fix="give time stamps, ISO text or Unix seconds")


def _from_numbers(numbers: pa.DoubleArray) -> pa.TimestampArray:
    values = numbers.to_numpy(zero_copy_only=False)
    times, wrong = _unix_microseconds(values)
    if wrong.any():
        at = np.flatnonzero(wrong)
        shown = to_tokens(pa.array(values[at])).to_pylist()
        raise BadCells([BadCell(i, "", text or "", _NO_TIME) for i, text in zip(at.tolist(), shown, strict=True)])
    return pa.array(times, mask=np.isnan(values)).cast(_MICROSECONDS)


def _unix_microseconds(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n] int64 microseconds of Unix times, and which of them have a number of digits that is no unit. NaN gives 0."""
    size = np.trunc(np.abs(x))
    digits = np.ones(len(x), np.int64)
    for power in range(1, 20):
        digits += size >= 10.0**power
    factors = np.zeros(21)
    factors[[*range(1, 8), 9, 10]] = 1e6
    factors[[12, 13]] = 1e3
    factors[[15, 16]] = 1.0
    factors[[18, 19]] = 1e-3
    factor = factors[digits]
    wrong = ~np.isnan(x) & (factor == 0)
    return np.rint(np.where(np.isnan(x) | wrong, 0.0, x * factor)).astype(np.int64), wrong


def _from_text(tokens: pa.DictionaryArray, format: str | None) -> pa.TimestampArray:
    """Read each distinct text once."""
    text = tokens.dictionary
    missing = pc.is_in(text, value_set=pa.array(MISSING_TEXTS))
    text = pc.if_else(missing, pa.scalar(None, pa.string()), text)
    times = _iso_or_unix(text) if format is None else _with_format(text, format)
    wrong = pc.and_(pc.is_valid(text), pc.is_null(times)).to_numpy(zero_copy_only=False)
    if wrong.any():
        problem = _NO_TIME if format is None else f"is not a time of format {format!r}"
        at = codes(tokens)
        bad = np.flatnonzero((at >= 0) & wrong[at])
        raise BadCells([BadCell(i, "", tokens.dictionary[int(at[i])].as_py(), problem) for i in bad.tolist()])
    return times.take(tokens.indices)


def _with_format(text: pa.Array, format: str) -> pa.TimestampArray:
    """Null where the text does not fit.

    The C library is fast, but lenient in its own way on each system, so its answer counts only where it gives the same
    text back. Python's `strptime` is the judge of the rest, which should be few.
    """
    try:
        times = pc.strptime(text, format=format, unit="s", error_is_null=True)
        sure = pc.fill_null(pc.equal(pc.strftime(times, format=format), text), False)
    except pa.ArrowException:  # a format that this system's C library does not know
        times, sure = pa.nulls(len(text), pa.timestamp("s")), pa.array(np.zeros(len(text), bool))
    rest = pc.if_else(sure, pa.scalar(None, pa.string()), text)
    judged = pa.array([_strptime(t, format) for t in rest.to_pylist()], _MICROSECONDS)
    return pc.if_else(sure, times.cast(_MICROSECONDS), judged)


def _strptime(text: str | None, format: str) -> datetime | None:
    try:
        return None if text is None else _in_utc(datetime.strptime(text, format))
    except ValueError:
        return None


def _iso_or_unix(text: pa.Array) -> pa.TimestampArray:
    """Null where the text is neither."""
    unix = pc.fill_null(pc.match_substring_regex(text, _UNIX_TIME), False)
    zoned = pc.fill_null(pc.match_substring_regex(text, _HAS_ZONE), False)
    zoned = pc.and_(zoned, pc.fill_null(pc.match_substring(text, ":"), False))  # 2014-10 ends like a zone, too
    nothing = pa.scalar(None, pa.string())
    out = _iso(pc.if_else(pc.or_(unix, zoned), nothing, text), _MICROSECONDS)
    if pc.any(zoned).as_py():
        out = pc.coalesce(out, _iso(pc.if_else(zoned, text, nothing), pa.timestamp("us", "UTC")))
    if pc.any(unix).as_py():
        values = to_numbers(pc.if_else(unix, text, nothing)).to_numpy(zero_copy_only=False)
        times, wrong = _unix_microseconds(values)
        out = pc.coalesce(out, pa.array(times, mask=np.isnan(values) | wrong).cast(_MICROSECONDS))
    return out


def _iso(text: pa.Array, kind: pa.DataType) -> pa.TimestampArray:
    try:
        return text.cast(kind).cast(pa.int64()).cast(_MICROSECONDS)
    except pa.ArrowInvalid:  # at least one is not ISO as Arrow reads it: ask Python for each
        return pa.array([_fromisoformat(t) for t in text.to_pylist()], _MICROSECONDS)


def _fromisoformat(text: str | None) -> datetime | None:
    try:
        return None if text is None else _in_utc(datetime.fromisoformat(text.strip()))
    except ValueError:
        return None


def _in_utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
