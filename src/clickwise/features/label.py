"""A label column as 0 and 1, by the schema's rules. Numbers and their text agree."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.features.arrays import codes, values
from clickwise.features.numeric import NUMBER
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCell, BadCells
from clickwise.native import columns
from clickwise.schema import Schema


def read_label(column: pa.Array, schema: Schema) -> np.ndarray:
    """Labels as 0 and 1: by `schema.positive`, by `schema.threshold`, or as they are.  [n] float32

    Without either rule 0, 1, false, true and their text in any case are allowed. Numbers and their text agree.

    Raises:
        BadCells: labels that are missing or that the rule does not cover.
    """
    plain = _plain(column) if not schema.positive and schema.threshold is None else None
    if plain is not None:
        return plain
    tokens = to_tokens(column, max_bytes=None)
    text = pc.utf8_trim_whitespace(tokens.dictionary)  # the distinct labels: the rest is decided once for each
    number = _numbers(text)
    allowed = np.ones(len(text), bool)
    if schema.positive:
        wanted = pa.array(schema.positive, pa.string())
        numbers = _numbers(wanted)
        found = values(pc.is_in(text, value_set=wanted)) | np.isin(number, numbers[~np.isnan(numbers)])
        problem = ""
    elif schema.threshold is not None:
        found = number >= schema.threshold
        allowed = ~np.isnan(number)
        problem = "the label is not a number, which schema.threshold needs"
    else:
        found = (number == 1) | values(pc.match_substring_regex(text, "(?i)^true$"))
        allowed = found | (number == 0) | values(pc.match_substring_regex(text, "(?i)^false$"))
        problem = "the label is not 0 or 1 (nor false or true); set schema.positive or schema.threshold"
    index = codes(tokens)
    refuse_cells(index < 0, schema.label, column, "the label is missing")
    refuse_cells(~allowed[index], schema.label, column, problem)
    return found[index].astype(np.float32)


def _plain(column: pa.Array) -> np.ndarray | None:
    """The labels where all are the text of 0 or 1, as in most logs; None where one is not, or without kernels."""
    numbers = columns.numbers(column) if pt.is_string(column.type) and columns.compiled() else None
    if numbers is None or numbers.null_count:
        return None
    found = values(numbers)
    return found.astype(np.float32) if ((found == 0) | (found == 1)).all() else None


def refuse_cells(wrong: np.ndarray, name: str, column: pa.Array, problem: str) -> None:
    """Raise `BadCells` for the cells of column `name` that are `wrong` [n], if there are any."""
    if wrong.any():
        at = np.flatnonzero(wrong)
        cells = column.take(pa.array(at)).to_pylist()
        shown = ("" if value is None else str(value) for value in cells)
        raise BadCells([BadCell(i, name, v, problem) for i, v in zip(at.tolist(), shown, strict=True)])


def _numbers(text: pa.Array) -> np.ndarray:
    """The text as float64, NaN where it is not a number."""
    numeric = pc.match_substring_regex(text, NUMBER)
    found = np.full(len(text), np.nan)
    found[values(numeric)] = values(text.filter(numeric).cast(pa.float64()))
    return found
