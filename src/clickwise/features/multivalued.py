"""Fields with many values a row: what `Vocabulary` and `Hashing` share. They hold a `Slots`; they do not inherit."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.errors import BundleError, DataError
from clickwise.features.arrays import codes, is_list, plain
from clickwise.features.finite import LARGEST
from clickwise.features.state_values import read_whole
from clickwise.features.token_lists import to_number_lists, to_token_lists, without_missing
from clickwise.features.tokens import to_cells
from clickwise.features.transform import State
from clickwise.native.requests import Target
from clickwise.schema import MISSING, Field, Pooling

DEFAULT_MAX_LENGTH = 64
"""Slots a field gets at most when `max_length` is not given."""

LONGEST_ALLOWED = 65_536
"""Slots a field can have at all."""


class MultiValueOptions(Protocol):
    """The keys of a `Config` that concern many values a row.

    Args:
        separator: what stands between the values of a text cell; None: text is one value.
        pooling: how the embeddings of a row's values become one.
        max_length: a longer list keeps its first `max_length` values; None allows `DEFAULT_MAX_LENGTH`.
        weights: a sibling column with a list of weights as long as the list of values.
    """

    @property
    def separator(self) -> str | None: ...
    @property
    def pooling(self) -> Pooling: ...
    @property
    def max_length(self) -> int | None: ...
    @property
    def weights(self) -> str | None: ...


def check_options(options: MultiValueOptions) -> None:
    """Raise a `ConfigError` unless the options are in range."""
    require(options.separator != "", "separator", options.separator, "text of at least one character")
    fits = options.max_length is None or 1 <= options.max_length <= LONGEST_ALLOWED
    require(fits, "max_length", options.max_length, f"1 to {LONGEST_ALLOWED}")
    require(options.weights != "", "weights", options.weights, "the name of a column")


def parse_values(options: MultiValueOptions, column: pa.Array) -> pa.Array:
    """The column as tokens [n], or as lists of tokens [n] when it is a list column or has a separator.

    Missing values inside a list are left out; in a weighted field they keep their place beside their weight.

    Raises:
        BadCells: values that cannot be tokens.
    """
    column = plain(column)
    if not is_list(column.type) and options.separator is None:
        return to_cells(column)
    lists = to_token_lists(column, options.separator)
    return lists if options.weights else without_missing(lists)


def values_form(options: MultiValueOptions) -> Hashable:
    """What `parse_values` depends on."""
    return parse_values, options.separator, options.weights is None


def list_lengths(parsed: pa.Array) -> np.ndarray:
    """[n] how many values each row has, as `parse_values` gives it; 1 for single values, missing or not."""
    return np.diff(parsed.offsets.to_numpy()) if is_list(parsed.type) else np.ones(len(parsed), np.int64)


@dataclass(frozen=True, slots=True)
class Slots:
    """How the values of a row fill the slots of a field.

    Args:
        multi: the column was fitted as lists.
        length: slots of the field: the longest list seen, capped.
    """

    multi: bool
    length: int

    def field(self, name: str, num_ids: int, options: MultiValueOptions) -> Field:
        """The field with these slots."""
        return Field(
            name=name,
            num_ids=num_ids,
            length=self.length,
            pooling=options.pooling,
            weighted=options.weights is not None,
        )

    def ids(self, parsed: pa.Array, lookup: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
        """[n, length] int32 ids; -1 where a slot is empty. `lookup` gives those of text, MISSING where there is none.

        Raises:
            DataError: lists where fitting saw single values.
        """
        if not is_list(parsed.type):
            flat = token_ids(parsed, lookup)
            if self.length == 1:
                return flat[:, None]
            out = np.full((len(flat), self.length), -1, np.int32)
            out[:, 0] = flat
            return out
        if not self.multi:
            raise DataError("holds lists, but held single values when it was fitted", fix="give one value a row")
        lengths = list_lengths(parsed)
        out = place(token_ids(parsed.flatten(), lookup), lengths, np.full((len(parsed), self.length), -1, np.int32))
        out[lengths == 0, 0] = MISSING
        return out

    def target(self, target: Target, options: MultiValueOptions) -> Target:
        """`target`, with these slots."""
        return target._replace(length=self.length, many=self.multi, separator=options.separator)

    def data(self) -> dict[str, Any]:
        """Plain data for a `State`."""
        return {"multi": self.multi, "length": self.length}

    @classmethod
    def of(cls, state: State) -> Slots:
        """The inverse of `data`.

        Raises:
            BundleError: the state does not make sense.
        """
        multi = state.values.get("multi")
        if not isinstance(multi, bool):
            raise BundleError(f"multi is {multi!r}, not true or false")
        return cls(multi, read_whole(state, "length", 1, LONGEST_ALLOWED if multi else 1))


class SlotsFit:
    """Finds the longest list of a column."""

    def __init__(self, options: MultiValueOptions) -> None:
        self._cap = options.max_length or DEFAULT_MAX_LENGTH
        self._multi = options.separator is not None
        self._longest = 1

    def update(self, parsed: pa.Array) -> pa.Array:
        """Take in one more chunk; give back its tokens, row after row, in a form of `to_cells`."""
        if not is_list(parsed.type):
            return parsed
        self._multi = True
        self._longest = max(self._longest, int(list_lengths(parsed).max(initial=1)))
        return parsed.flatten()

    def finish(self) -> Slots:
        """The slots that hold every list, up to the cap."""
        return Slots(self._multi, min(self._longest, self._cap))


def place(flat: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Lay lists of `lengths` [n], given one after the other in `flat`, into the rows of `out` [n, L], in place.

    A list longer than L keeps its first L values.
    """
    row = np.repeat(np.arange(len(lengths)), lengths)
    slot = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    fits = slot < out.shape[1]
    out[row[fits], slot[fits]] = flat[fits]
    return out


def parse_weights(options: MultiValueOptions, column: pa.Array) -> pa.ListArray:
    """The column of slot weights as list<double> [n].

    Raises:
        BadCells: a weight that is not a number.
    """
    return to_number_lists(column, options.separator)


def slot_weights(parsed: pa.Array, weights: pa.ListArray, length: int) -> np.ndarray:
    """[n, length] float32 weight of each slot: 1 where a weight or the whole list is missing, 0 where a slot is empty.

    `weights` must have as many values as `parsed` in each row, unless the row has none (`weights_mismatch`). Those that
    are too large for float32 count as the largest that is not.
    """
    lengths = list_lengths(parsed)
    given = np.diff(weights.offsets.to_numpy())
    used = np.maximum(lengths, 1)[:, None] > np.arange(length)  # a row without values has its MISSING id in slot 0
    out = place(weights.flatten().to_numpy(zero_copy_only=False), given, np.full((len(parsed), length), np.nan))
    out[np.isnan(out)] = 1.0
    return np.where(used, np.clip(out, -LARGEST, LARGEST), 0.0).astype(np.float32)


def weights_mismatch(parsed: pa.Array, weights: pa.ListArray) -> np.ndarray:
    """The rows whose weights are not as many as their values. A row without weights counts all of them as 1."""
    lengths, given = list_lengths(parsed), np.diff(weights.offsets.to_numpy())
    return np.flatnonzero((given != lengths) & (given > 0))


def token_ids(tokens: pa.Array, lookup: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
    """[n] int32 ids of tokens; MISSING where there is none."""
    if not pa.types.is_dictionary(tokens.type):
        return lookup(tokens)
    distinct = np.append(lookup(tokens.dictionary), np.int32(MISSING))  # the last is for -1, null
    return distinct[codes(tokens)]
