"""Tensors as columns: every datatype, both forms, and all that a client can get wrong."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import numpy as np
import pytest

from clickwise.errors import RequestError
from clickwise.serving.app.tensors import NUMBERS, TensorIn, rows_of, scores_out

KINDS = {"tags": "list", "item": "text"}


def rows(*tensors: dict[str, Any], binary: bytes = b"", most: int = 10) -> dict[str, list[Any]]:
    read = msgspec.json.decode(json.dumps(tensors).encode(), type=list[TensorIn])
    return rows_of(read, binary, most, KINDS).to_pydict()


def texts(*cells: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(cell)) + cell for cell in cells)


def tensor(datatype: str = "BYTES", n: int = 2, size: int | None = None, **more: Any) -> dict[str, Any]:
    parameters = {} if size is None else {"parameters": {"binary_data_size": size}}
    return {"name": "item", "datatype": datatype, "shape": [n], **parameters, **more}


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers(datatype: str) -> None:
    values = np.array([1, 0], NUMBERS[datatype])
    raw = values.tobytes()
    assert rows(tensor(datatype, size=len(raw)), binary=raw) == {"item": values.tolist()}
    if datatype != "FP16":
        assert rows(tensor(datatype, data=values.tolist())) == {"item": values.tolist()}


def test_texts() -> None:
    raw = texts(b"", "ü".encode())
    assert rows(tensor(size=len(raw)), binary=raw) == {"item": ["", "ü"]}
    assert rows(tensor(data=["a", None])) == {"item": ["a", None]}
    assert rows(tensor(data=[["a"], ["b"]], shape=[2, 1])) == {"item": ["a", "b"]}


def test_several_tensors_share_the_bytes_and_one_value_stands_in_every_row() -> None:
    raw, numbers = texts(b"a", b"b", b"c"), np.array([2.5]).tobytes()
    told = [
        tensor(n=3, size=len(raw)),
        {**tensor("FP64", 1, 8), "name": "price"},
        {**tensor("INT64", 3, data=[1, 2, 3]), "name": "n"},
    ]
    assert rows(*told, binary=raw + numbers) == {"item": ["a", "b", "c"], "price": [2.5] * 3, "n": [1, 2, 3]}


def test_lists() -> None:
    told = {**tensor(n=4, data=['["a", "b|c"]', "d", None, "[]"]), "name": "tags"}
    assert rows(told) == {"tags": [["a", "b|c"], ["d"], None, None]}
    plain = {**tensor(data=["a|b", "c"]), "name": "tags"}
    assert rows(plain) == {"tags": ["a|b", "c"]}, "text is split as the schema says"
    assert rows(tensor(data=["[x", "[]"])) == {"item": ["[x", "[]"]}, "in a column of texts it is one"


def test_nothing_is_no_rows() -> None:
    assert rows() == {}
    assert rows(tensor(n=0, data=[])) == {"item": []}


@pytest.mark.parametrize(
    ("told", "binary", "message"),
    [
        (tensor("STRING"), b"", "datatype 'STRING', allowed are BYTES, BOOL"),
        (tensor(shape=[]), b"", r"shape \[\], allowed are"),
        (tensor(shape=[2, 2]), b"", r"shape \[2, 2\]"),
        (tensor(n=-1), b"", r"shape \[-1\]"),
        (tensor(n=11), b"", "has 11 rows, allowed are 10"),
        (tensor(n=10**12, size=0), b"", "allowed are 10"),
        (tensor(data=["a"]), b"", "data has 1 values, its shape says 2"),
        (tensor(), b"", "data has 0 values"),
        (tensor(data=[1, 2]), b"", "data is not BYTES"),
        (tensor("INT64", data=[1, 2**70]), b"", "data is not INT64"),
        (tensor("INT8", data=[1, 300]), b"", "data is not INT8"),
        (tensor("FP64", data=["a", {}]), b"", "data is not FP64"),
        (tensor("FP64", size=15), b"x" * 15, "15 bytes, its shape says 16"),
        (tensor("FP64", size=17), b"x" * 16, "there are 16 more bytes"),
        (tensor("FP64", size=-1), b"", "binary_data_size -1"),
        (tensor("FP64", size=16), b"x" * 18, "2 bytes behind the last tensor"),
        (tensor(size=5), texts(b"a"), "is no list of 2 texts"),
        (tensor(n=1, size=6), texts(b"a") + b"x", "1 texts need 5 bytes, there are 6"),
        (tensor(n=1, size=8), struct.pack("<I", 2**32 - 1) + b"abcd", "is no list of 1 texts"),
        (tensor(n=1, size=6), texts(b"\xff\xfe"), "is no list of 1 texts: Invalid UTF8"),
        ({**tensor(data=["[1]", "a"]), "name": "tags"}, b"", "no JSON list of texts"),
        ({**tensor(data=["[" * 5000, "a"]), "name": "tags"}, b"", "no JSON list of texts"),
    ],
)
def test_what_is_wrong_is_said(told: dict[str, Any], binary: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        rows(told, binary=binary)


def test_tensors_that_do_not_fit_each_other() -> None:
    with pytest.raises(RequestError, match="two tensors have the same name"):
        rows(tensor(data=["a", "b"]), tensor(data=["a", "b"]))
    with pytest.raises(RequestError, match="has 2 rows, another one 3"):
        rows(tensor(data=["a", "b"]), {**tensor(n=3, data=["a"] * 3), "name": "x"})
    with pytest.raises(RequestError, match="has 0 rows, another one 2"):
        rows(tensor(data=["a", "b"]), {**tensor(n=0, data=[]), "name": "x"})


def test_scores() -> None:
    out, raw = scores_out("probability", np.array([0.25, 0.5]), False)
    assert msgspec.to_builtins(out) == {
        "name": "probability",
        "datatype": "FP64",
        "shape": [2],
        "data": [0.25, 0.5],
    }
    assert raw == b""
    out, raw = scores_out("logit", np.array([0.25, 0.5], np.float32), True)
    assert (out.datatype, out.data, out.parameters) == ("FP32", None, {"binary_data_size": 8})
    assert np.frombuffer(raw, "<f4").tolist() == [0.25, 0.5]
