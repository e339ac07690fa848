from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pytest

from clickwise.data.plain import plain_piece, plain_type

CASES = [
    (pa.array(["a", None, "b"]), pa.string()),
    (pa.array(["a", None, "b"], pa.large_string()), pa.string()),
    (pa.array(["a", None, "a much longer text than fits inline"], pa.string_view()), pa.string()),
    (pa.array([b"a", None, b"b"], pa.binary_view()), pa.string()),
    (pa.array([b"a", None, b"b"], pa.large_binary()), pa.string()),
    (pa.array(["a", None, "a"]).dictionary_encode(), pa.string()),
    (pa.DictionaryArray.from_arrays(pa.array([0, None, 1]), pa.array(["x", "y"], pa.string_view())), pa.string()),
    (pa.array([["a"], None, []], pa.large_list(pa.string_view())), pa.list_(pa.string())),
    (pa.array([["a"], None, ["b"]], pa.list_(pa.large_string(), 1)), pa.list_(pa.string())),
    (pa.array([[1], None, [2, 3]], pa.list_view(pa.int8())), pa.list_(pa.int8())),
    (pa.array([decimal.Decimal("1.5"), None, decimal.Decimal("2")]), pa.float64()),
    (pa.array([1.5, None, 2.0], pa.float16()), pa.float32()),
    (pa.array([1, None, 2], pa.int8()), pa.int8()),
    (pa.array([True, None, False]), pa.bool_()),
    (pa.array([0, None, 1], pa.timestamp("us", "UTC")), pa.timestamp("us", "UTC")),
    (pa.nulls(3), pa.null()),
]


@pytest.mark.parametrize(("array", "kind"), CASES, ids=[str(array.type) for array, _ in CASES])
def test_values_stay_and_the_type_becomes_plain(array, kind):
    assert plain_type(array.type) == kind
    padded = pa.concat_arrays([array, array]).slice(2, 3)
    for given in (array, padded):
        piece = plain_piece(pa.RecordBatch.from_arrays([given], ["x"]), np.arange(1, 4))
        assert piece.data["x"].type == kind and not piece.bad

        def comparable(values):
            return [v.decode() if isinstance(v, bytes) else v for v in values]

        assert comparable(piece.data["x"].to_pylist()) == comparable(given.to_pylist())


def test_a_row_that_is_bad_twice_is_told_once_by_its_first_column():
    both = pa.RecordBatch.from_pydict({"a": [b"\xff", b"x"], "b": [b"\xfe", b"\xfd"]})
    piece = plain_piece(both, np.array([1, 2]))
    assert [(bad.row, bad.column) for bad in piece.bad] == [(1, "a"), (2, "b")] and len(piece.row) == 0


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.list_(pa.binary())])
def test_rows_that_are_not_utf8_are_found_wherever_they_are(kind):
    values = [b"x%d" % i for i in range(100)]
    for i in (0, 41, 42, 99):
        values[i] = b"\xff" + values[i]
    array = pa.array([[b"ok", v] for v in values] if pa.types.is_list(kind) else values, kind)
    piece = plain_piece(pa.RecordBatch.from_arrays([array, pa.array(range(100))], ["x", "i"]), np.arange(11, 111))
    assert [bad.row for bad in piece.bad] == [11, 52, 53, 110]
    assert all("\\xff" in (bad.value or "") for bad in piece.bad)
    assert piece.data["i"].to_pylist() == [i for i in range(100) if i not in (0, 41, 42, 99)]
    assert piece.row.tolist() == [i + 11 for i in piece.data["i"].to_pylist()]
