from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import DataError
from clickwise.features.numeric import number_values, to_numbers
from clickwise.features.transform import BadCells

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([1, None, -3]), [1.0, None, -3.0]),
        (pa.array([2**63 + 1], pa.uint64()), [float(2**63)]),
        (pa.array([1.5, NAN, INF, -INF, None]), [1.5, None, None, None, None]),
        (pa.array([1.5], pa.float32()), [1.5]),
        (pa.array([True, False, None]), [1.0, 0.0, None]),
        (pa.array([Decimal("1.5")]), [1.5]),
        (pa.array(["1", "-2.5", "1e3", ".5", "5.", "+4"]), [1.0, -2.5, 1000.0, 0.5, 5.0, 4.0]),
        (pa.array(["", "nan", "NaN", "null", "NULL", "\\N", None]), [None] * 7),
        (pa.array([" 1", "2 ", " ", "inf", "-Infinity", "1e999"]), [1.0, 2.0, None, None, None, None]),
        (pa.array([b"1", None]), [1.0, None]),
        (pa.array(["1", None]).dictionary_encode(), [1.0, None]),
        (pa.nulls(2), [None, None]),
        (pa.array(["1"], pa.string_view()), [1.0]),
    ],
)
def test_numbers_of_every_type(column: pa.Array, wanted: list[Any]) -> None:
    assert to_numbers(column).to_pylist() == wanted
    assert to_numbers(column).type == pa.float64()
    np.testing.assert_array_equal(number_values(to_numbers(column)), np.array(wanted, np.float64))


@pytest.mark.parametrize("text", ["x", "1,5", "0x10", "1_000", "--1", "1e", "12:30", "true"])
def test_text_that_is_no_number_is_a_bad_cell(text: str) -> None:
    with pytest.raises(BadCells) as caught:
        to_numbers(pa.array(["1", None, text, "", " 2", text]))
    assert [tuple(c) for c in caught.value.cells] == [(i, "", text, "is not a number") for i in (2, 5)]
    with pytest.raises(BadCells) as caught:
        to_numbers(pa.array([None, "1", text]))
    assert [c.position for c in caught.value.cells] == [2]


def test_bytes_that_are_no_text_are_bad_cells() -> None:
    with pytest.raises(BadCells) as caught:
        to_numbers(pa.array([b"1", b"\xff"]))
    assert caught.value.cells[0][:3] == (1, "", "\\xff")


@pytest.mark.parametrize("column", [pa.array([dt.datetime(2020, 1, 1)]), pa.array([[1]])])
def test_other_types_are_refused(column: pa.Array) -> None:
    with pytest.raises(DataError, match="is not a number"):
        to_numbers(column)
