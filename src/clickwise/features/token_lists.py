"""A raw column of many values a cell as lists of tokens: Arrow lists, or text cut at a separator."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.features.arrays import codes, is_list, plain, spread
from clickwise.features.numeric import to_numbers
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCell, BadCells


def to_token_lists(column: pa.Array, separator: str | None = None) -> pa.ListArray:
    """The tokens of each cell: list<dictionary<string>> [n] without null lists; a value may be null (missing).

    A cell that is null or empty gives an empty list.

    Args:
        separator: what stands between the values of a text cell; not used for list columns.

    Raises:
        BadCells: a value that cannot be a token.

    >>> to_token_lists(pa.array(["a|b", None, "a"]), "|").to_pylist()
    [['a', 'b'], [], ['a']]
    """
    column = plain(column)
    if is_list(column.type):
        values, lengths = _list_values(column)
        try:
            return _lists(to_tokens(values), lengths)
        except BadCells as error:
            raise BadCells(_at_rows(error.cells, np.repeat(np.arange(len(lengths)), lengths))) from None
    return _split(to_tokens(column, max_bytes=None), separator)


def to_number_lists(column: pa.Array, separator: str | None = None) -> pa.ListArray:
    """The numbers of each cell: list<double> [n]; a null cell gives a null list, a single number a list of one.

    Raises:
        BadCells: a value that is not a number.
    """
    column = plain(column)
    if is_list(column.type):
        values, lengths = _list_values(column)
        absent = column.is_null()
    elif separator is not None and not _holds_numbers(column.type):
        texts = to_token_lists(column, separator)
        values, lengths = texts.flatten(), np.diff(texts.offsets.to_numpy())
        absent = pa.array(lengths == 0)
    else:
        absent = column.is_null()
        values, lengths = column.drop_null(), (~absent.to_numpy(zero_copy_only=False)).astype(np.int64)
    try:
        numbers = to_numbers(values)
    except BadCells as error:
        raise BadCells(_at_rows(error.cells, np.repeat(np.arange(len(lengths)), lengths))) from None
    return pa.ListArray.from_arrays(_offsets(lengths), numbers, mask=absent)


def without_missing(lists: pa.ListArray) -> pa.ListArray:
    """The lists without their missing values."""
    values = lists.flatten()
    if not values.null_count:
        return lists
    kept = codes(values) >= 0
    before = np.append(0, np.cumsum(kept))
    lengths = np.diff(before[lists.offsets.to_numpy() - lists.offsets[0].as_py()])
    return _lists(values.filter(pa.array(kept)), lengths)


def _holds_numbers(kind: pa.DataType) -> bool:
    return pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind) or pt.is_boolean(kind)


def _list_values(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """All values of a list column, one list after the other, and the length of each list [n]; 0 for null."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return pc.list_flatten(column), lengths


def _lists(values: pa.DictionaryArray, lengths: np.ndarray) -> pa.ListArray:
    return pa.ListArray.from_arrays(_offsets(lengths), values)


def _offsets(lengths: np.ndarray) -> pa.Array:
    return pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))


def _at_rows(cells: list[BadCell], row_of: np.ndarray) -> list[BadCell]:
    """Cells found among the values, moved to the rows they are in; one a row."""
    by_row: dict[int, BadCell] = {}
    for cell in cells:
        row = int(row_of[cell.position])
        by_row.setdefault(row, cell._replace(position=row))
    return list(by_row.values())


def _split(cells: pa.DictionaryArray, separator: str | None) -> pa.ListArray:
    """Cut each distinct text once, then lay the pieces out row by row."""
    if separator is None:
        pieces, piece_lengths = cells.dictionary, np.ones(len(cells.dictionary), np.int64)
    else:
        pieces, piece_lengths = _list_values(pc.split_pattern(cells.dictionary, separator))
    text_of_row = codes(cells)
    try:
        tokens = to_tokens(pieces)
    except BadCells as error:
        wrong = {c.position: c for c in _at_rows(error.cells, np.repeat(np.arange(len(piece_lengths)), piece_lengths))}
        rows = np.flatnonzero(np.isin(text_of_row, list(wrong))).tolist()
        raise BadCells([wrong[int(text_of_row[r])]._replace(position=r) for r in rows]) from None
    starts = np.append(np.cumsum(piece_lengths) - piece_lengths, 0)
    lengths = np.append(piece_lengths, 0)  # the last is for -1, null
    at = spread(starts[text_of_row], lengths[text_of_row])
    piece_codes = codes(tokens)[at]
    values = pa.DictionaryArray.from_arrays(pa.array(piece_codes, pa.int32(), mask=piece_codes < 0), tokens.dictionary)
    return _lists(values, lengths[text_of_row])
