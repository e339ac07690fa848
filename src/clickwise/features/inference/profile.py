"""What a sample says about one column: its logical type, how many values it has, and what they look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.errors import DataError
from clickwise.features.arrays import codes, is_list, is_text, plain
from clickwise.features.inference.column_names import names_identifier, names_time
from clickwise.features.numeric import MISSING_TEXTS, NOT_FINITE, NUMBER
from clickwise.features.timestamps import to_timestamps
from clickwise.features.token_lists import to_token_lists
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCells

Kind = Literal["integer", "number", "boolean", "timestamp", "text", "list", "unsupported"]

SEPARATORS = ("|", ";", ",")
"""What may stand between the values of a text cell, the likeliest first."""
NUMERIC_SHARE = 0.999
"""Text is taken for numbers when at least this share of its cells are."""

_ZERO_FIRST = r"^[+-]?0\d"
_DATE = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)? ?(Z|UTC|[+-]\d\d:?\d\d)?$"
_EPOCH_S = (6.3e8, 4.1e9)  # 1990 to 2099
_SEPARATED_SHARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A column of a sample.

    Args:
        name: of the column.
        kind: its logical type: text that holds numbers is numbers.
        index: which distinct value each row has, -1 where it is missing.  [n] int
        distinct: different values; of lists and separated text, different values inside them.
        numbers: [n] float64 for numbers and moments, NaN where missing; None for other kinds.
        separator: what stands between the values of its cells, when it is text with several values a cell.
        longest: bytes of the longest cell of text.
        odd: a cell that is not like the others, in text that is taken for numbers.
    """

    name: str
    kind: Kind
    index: np.ndarray
    distinct: int
    numbers: np.ndarray | None = None
    separator: str | None = None
    longest: int = 0
    odd: str | None = None

    @property
    def rows(self) -> int:
        """Rows of the sample."""
        return len(self.index)

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return int(np.count_nonzero(self.index >= 0))

    @property
    def missing_fraction(self) -> float:
        """Share of the rows without a value."""
        return 1 - self.present / self.rows if self.rows else 0.0

    @property
    def multi_valued(self) -> bool:
        """Whether a cell holds several values."""
        return self.kind == "list" or self.separator is not None


def profile(name: str, column: pa.ChunkedArray) -> Profile:
    """Look at one column of a sample."""
    array = plain(column)
    if is_list(array.type):
        return _profile_list(name, array)
    try:
        tokens = to_tokens(array, max_bytes=None)
    except (DataError, BadCells):
        return Profile(name, "unsupported", np.zeros(len(array), np.int64), 0)
    index, text = codes(tokens), tokens.dictionary
    kind = array.type.value_type if pt.is_dictionary(array.type) else array.type
    if pt.is_boolean(kind):
        return Profile(name, "boolean", index, len(text))
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return Profile(name, "timestamp", index, len(text), _moments(text)[index])
    return _profile_text(name, index, text, kind)


def _profile_list(name: str, array: pa.Array) -> Profile:
    try:
        lists = to_token_lists(array)
    except (DataError, BadCells):
        return Profile(name, "unsupported", np.zeros(len(array), np.int64), 0)
    lengths = np.diff(lists.offsets.to_numpy())
    distinct = len(np.unique(codes(lists.flatten()))) if len(lists.flatten()) else 0
    return Profile(name, "list", np.where(lengths > 0, 0, -1), distinct)


def _profile_text(name: str, index: np.ndarray, text: pa.StringArray, kind: pa.DataType) -> Profile:
    """A column of text or numbers, given as its distinct tokens and which of them each row has."""
    trimmed = pc.utf8_trim_whitespace(text)
    absent = _mask(pc.is_in(trimmed, value_set=pa.array(MISSING_TEXTS)))
    absent |= _mask(pc.match_substring_regex(trimmed, NOT_FINITE))
    is_number = _mask(pc.match_substring_regex(trimmed, NUMBER))
    counts = np.bincount(index[index >= 0], minlength=len(text))
    filled = int(counts[~absent].sum())
    if filled and counts[is_number].sum() >= NUMERIC_SHARE * filled:
        zero_first = _mask(pc.match_substring_regex(trimmed, _ZERO_FIRST)).any()
        if not is_text(kind) or not zero_first:  # 02139 is a name: as a number it would lose its zero
            with_points = pt.is_floating(kind) or _mask(pc.match_substring(trimmed, "."))[is_number].any()
            return _profile_numbers(name, index, trimmed, is_number, absent, bool(with_points))
    if filled and _mask(pc.match_substring_regex(trimmed, _DATE))[~absent].all():
        moments = _moments(pc.if_else(pa.array(absent), None, trimmed))[index] if len(text) else np.empty(0)
        moments[index < 0] = np.nan
        if not np.isnan(moments).all():
            return Profile(name, "timestamp", np.where(np.isnan(moments), -1, index), len(text), moments)
    longest = int(pc.max(pc.binary_length(text)).as_py() or 0)
    separator, inside = _separator(text, counts)
    return Profile(name, "text", index, inside or len(text), separator=separator, longest=longest)


def _profile_numbers(
    name: str, index: np.ndarray, text: pa.StringArray, is_number: np.ndarray, absent: np.ndarray, with_points: bool
) -> Profile:
    values = pc.if_else(pa.array(is_number), text, None).cast(pa.float64()).to_numpy(zero_copy_only=False)
    numbers = np.append(values, np.nan)[index]  # the last is for -1, missing
    whole = bool(np.all(values[is_number] == np.trunc(values[is_number])))
    # Whole numbers written 3.0 are numbers, unless a name or missing cells say that they are integers made floats.
    fractional = not whole or (with_points and bool((index >= 0).all()) and not names_identifier(name))
    odd_at = np.flatnonzero(~is_number & ~absent)
    odd = text[int(odd_at[0])].as_py() if len(odd_at) else None
    index = np.where(np.isnan(numbers), -1, index)
    kind: Kind = "number" if fractional else "integer"
    if whole and names_time(name) and _is_epoch(values[is_number]):
        kind = "timestamp"
        numbers = numbers * _microseconds(values[is_number])
    return Profile(name, kind, index, int(is_number.sum()), numbers, odd=odd)


def _is_epoch(values: np.ndarray) -> bool:
    """Whether whole numbers look like seconds, milli- or microseconds since 1970, all of one unit."""
    scaled = values * (_microseconds(values) / 1e6)
    return bool((scaled >= _EPOCH_S[0]).all() and (scaled <= _EPOCH_S[1]).all())


def _microseconds(values: np.ndarray) -> float:
    """Microseconds in a unit of `values`, by their size."""
    return next((1e6 / 10**d for d in (0, 3, 6) if np.median(values) <= _EPOCH_S[1] * 10**d), 1.0)


def _moments(text: pa.Array) -> np.ndarray:
    """Microseconds since 1970 of ISO 8601 text, and NaN in a last place for index -1; all NaN when it is none."""
    try:
        times = to_timestamps(text, None).cast(pa.timestamp("us"), safe=False)
    except (BadCells, DataError):
        return np.full(len(text) + 1, np.nan)
    values = times.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.append(values, np.nan)


def _separator(text: pa.StringArray, counts: np.ndarray) -> tuple[str | None, int]:
    """The separator of cells with several values, and how many different values they hold; (None, 0) when single.

    It must stand in at least a tenth of the cells, and cutting there must leave fewer different values than cells.
    """
    for separator in SEPARATORS:
        has = _mask(pc.match_substring(text, separator))
        if not len(text) or counts[has].sum() < _SEPARATED_SHARE * counts.sum():
            continue
        inside = pc.list_flatten(pc.split_pattern(text, separator))
        distinct = len(pc.unique(inside))
        if distinct < len(text) and not _mask(pc.match_substring_regex(inside, r"^\s")).mean() > 0.5:
            return separator, distinct
    return None, 0


def _mask(flags: pa.Array) -> np.ndarray:
    return flags.to_numpy(zero_copy_only=False)
