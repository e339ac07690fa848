from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from clickwise.errors import DataError
from clickwise.features.tokens import MAX_TOKEN_BYTES, to_tokens
from clickwise.features.transform import BadCells

DAY = dt.datetime(2020, 1, 2, 3, 4, 5)

CASES: list[tuple[str, pa.Array, list[str | None]]] = [
    ("text", pa.array(["a", "", None, "3", "3.0", " a", "nan"]), ["a", None, None, "3", "3.0", " a", "nan"]),
    ("bytes", pa.array([b"a", b"", None, "é".encode()]), ["a", None, None, "é"]),
    ("fixed bytes", pa.array([b"ab"], pa.binary(2)), ["ab"]),
    ("text view", pa.array(["a", ""], pa.string_view()), ["a", None]),
    ("whole numbers", pa.array([3, -1, None]), ["3", "-1", None]),
    ("uint64", pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    ("floats", pa.array([3.0, 0.5, float("nan"), None, -0.0, 1e-7]), ["3", "0.5", None, None, "0", "1e-07"]),
    ("large floats", pa.array([2.0**62, 1e20, float("inf")]), [str(2**62), "1e+20", "inf"]),
    ("float32", pa.array([0.1, 16777216], pa.float32()), ["0.1", "16777216"]),
    ("decimals", pa.array([Decimal("3.00"), Decimal("0.50")]), ["3", "0.5"]),
    ("booleans", pa.array([True, False, None]), ["true", "false", None]),
    (
        "time stamps",
        pa.array([DAY, DAY.replace(microsecond=120_000)]),
        ["2020-01-02T03:04:05", "2020-01-02T03:04:05.12"],
    ),
    ("seconds", pa.array([DAY], pa.timestamp("s")), ["2020-01-02T03:04:05"]),
    ("with a zone", pa.array([0], pa.timestamp("ms", "Europe/Paris")), ["1970-01-01T00:00:00Z"]),
    ("dates", pa.array([DAY.date()]), ["2020-01-02"]),
    ("dates in ms", pa.array([DAY.date()], pa.date64()), ["2020-01-02"]),
    ("nulls", pa.nulls(2), [None, None]),
    ("dictionary", pa.array(["b", "", None, "b"]).dictionary_encode(), ["b", None, None, "b"]),
    ("dictionary of floats", pa.array([9.0, 3.0, None]).dictionary_encode()[1:], ["3", None]),
    ("chunks", pa.chunked_array([["a"], ["b"]]), ["a", "b"]),
    ("no chunks", pa.chunked_array([], pa.string()), []),
]


@pytest.mark.parametrize(("column", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_tokens_of_every_type(column: pa.Array, wanted: list[Any]) -> None:
    tokens = to_tokens(column)
    assert tokens.to_pylist() == wanted
    assert tokens.type.value_type == pa.string()
    assert tokens.dictionary.null_count == 0
    assert "" not in tokens.dictionary.to_pylist()


def test_a_dictionary_with_nulls_and_more_values_than_rows() -> None:
    wide = pa.DictionaryArray.from_arrays(pa.array([2, 1]), pa.array(["a", None, "c", "d"]))
    assert to_tokens(wide).to_pylist() == ["c", None]
    holed = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array([3, None]))
    assert to_tokens(holed).to_pylist() == ["3", None, None, "3"]
    _, offsets, data = pa.array(["a", "b"]).buffers()
    spanning = pa.Array.from_buffers(
        pa.string(), 2, [pa.py_buffer(b"\x01"), offsets, data]
    )  # "b" is null, yet has bytes
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), spanning)
    assert to_tokens(column).indices.to_pylist() == [0, None, 0]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_text_that_is_not_utf8_is_a_bad_cell(kind: pa.DataType) -> None:
    with pytest.raises(BadCells) as caught:
        to_tokens(pa.array([b"a", b"\xffz", None, b"\\xff", b"\xffz"], kind))
    assert [tuple(c) for c in caught.value.cells] == [(i, "", "\\xffz", "is not valid UTF-8") for i in (1, 4)]


def test_text_marked_as_utf8_is_checked_as_well() -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    with pytest.raises(BadCells):
        to_tokens(broken)


def test_a_token_may_be_so_long_and_no_longer() -> None:
    fits = "é" * (MAX_TOKEN_BYTES // 2)
    assert to_tokens(pa.array([fits])).to_pylist() == [fits]
    with pytest.raises(BadCells) as caught:
        to_tokens(pa.array(["a", fits + "x"]))
    assert caught.value.cells[0].position == 1
    assert caught.value.cells[0].problem == "is longer than 4096 bytes"
    assert len(caught.value.cells[0].value) < 300


@pytest.mark.parametrize("column", [pa.array([{"a": 1}]), pa.array([[1]]), pa.array([dt.timedelta(1)])])
def test_other_types_are_refused(column: pa.Array) -> None:
    with pytest.raises(DataError, match="holds no categories; leave the column out"):
        to_tokens(column)
