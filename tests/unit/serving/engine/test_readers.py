"""The compiled reader and its twin in Python say the same of every body, or both refuse it."""

from __future__ import annotations

import json
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clickwise.errors import RequestError
from clickwise.native import requests
from clickwise.serving.engine.compiled_reader import CompiledReader
from clickwise.serving.engine.request import MAX_DEPTH, MAX_IGNORED, Request
from clickwise.serving.engine.slow_reader import SlowReader

KINDS = {"ad": "text", "age": "number", "when": "time", "tags": "list", "ö": "text"}
compiled_only = pytest.mark.skipif(not requests.compiled(), reason="the compiled kernels were not built")
every_reader = pytest.mark.parametrize(
    "reader", [SlowReader, pytest.param(CompiledReader, marks=compiled_only)], indirect=True
)


@pytest.fixture
def reader(request: pytest.FixtureRequest) -> Any:
    return request.param(KINDS)


def said(reader: Any, body: bytes, limit: int = 5) -> Any:
    """What a reader makes of a body, as plain data; None: it refuses."""
    try:
        request = reader.read(body, limit)
    except RequestError:
        return None
    for array in (*request.user.values(), *request.candidates.values()):
        array.validate(full=True)
    return plain(request)


def plain(request: Request) -> Any:
    sides = [
        {name: (str(array.type), array.to_pylist()) for name, array in side.items()}
        for side in (request.user, request.candidates)
    ]
    named = sorted(request.ignored) if len(request.ignored) < MAX_IGNORED else None
    return sides, request.num_candidates, named


def agree(body: bytes, limit: int = 5) -> Any:
    slow = said(SlowReader(KINDS), body, limit)
    if requests.compiled():
        assert said(CompiledReader(KINDS), body, limit) == slow
    return slow


def one(cell: str, column: str = "ad") -> bytes:
    return b'{"candidates": [{"%s": %s}]}' % (column.encode(), cell.encode())


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["", "a", "\ud83d\ude00", "\x00", '"\\/', "\u20ac"]),
)
cells = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.text(max_size=2), scalars, max_size=1))
keys = st.one_of(st.sampled_from([*KINDS, "other", "x y"]), st.text(max_size=3))
rows = st.dictionaries(keys, cells, max_size=6)
usual_rows = st.dictionaries(st.sampled_from(["ad", "age", "ö", "else"]), scalars, max_size=4)
bodies = st.fixed_dictionaries(
    {"candidates": st.lists(st.one_of(usual_rows, rows), max_size=6)},
    optional={
        "user": st.one_of(st.none(), usual_rows, rows),
        "id": cells,
    },
)


@settings(max_examples=300, deadline=None)
@given(bodies, st.booleans(), st.sampled_from([None, 1]))
def test_both_read_what_python_writes(data: Any, ascii_only: bool, indent: int | None) -> None:
    try:
        body = json.dumps(data, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    agree(body)


@settings(max_examples=300, deadline=None)
@given(bodies, st.data())
def test_both_refuse_what_is_damaged(data: Any, draw: Any) -> None:
    body = bytearray(json.dumps(data, ensure_ascii=draw.draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, max(0, len(body) - 1)))
        piece = draw.draw(
            st.sampled_from(
                [
                    b"",
                    b'"',
                    b"\\",
                    b"{",
                    b"}",
                    b"[",
                    b"]",
                    b",",
                    b":",
                    b"0",
                    b"-",
                    b".",
                    b"e",
                    b"\xff",
                    b"\xe2\x82",
                    b"\\ud800",
                    b"null",
                    b"\x00",
                    b"\n",
                    b" ",
                ]
            )
        )
        body[at : at + draw.draw(st.integers(0, 2))] = piece
    agree(bytes(body))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.from_regex(r"-?(0|[1-9]\d{0,25})(\.\d{1,25})?([eE][-+]?\d{1,4})?", fullmatch=True),
    )
)
@example("1e22")
@example("9.223372036854775807e18")
@example("9.3e18")
@example("-0.0")
@example("1e16")
@example("123456789012345.6")
@example("0.0001")
@example("0.00001")
@example("1e400")
@example("-1e400")
@example("1e-400")
@example("0e999999999999999999999")
@example("1e99999999999999999999")
@example("1E-99999999999999999999")
@example("0." + "0" * 400 + "1")
@example("1" + "0" * 400 + ".5e-400")
@example("5e-324")
def test_both_give_a_number_the_same_text(number: str) -> None:
    agree(one(number))


@every_reader
@pytest.mark.parametrize(
    ("number", "token"),
    [
        ("3", "3"),
        ("3.0", "3"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1e2", "100"),
        ("0.5", "0.5"),
        ("1e-7", "1e-07"),
        ("1e22", "1e+22"),
        ("18446744073709551615", "18446744073709551615"),
        ("0.1", "0.1"),
        ("1e16", "10000000000000000"),
        ("0.00012", "0.00012"),
        ("123.25", "123.25"),
        ("1.5e300", "1.5e+300"),
        ("12345678901234567.0", "12345678901234568"),
    ],
)
def test_numbers_have_their_token(reader: Any, number: str, token: str) -> None:
    assert reader.read(one(number), 1).candidates["ad"].to_pylist() == [token]


@every_reader
def test_what_a_request_says(reader: Any) -> None:
    body = (
        '{"user": {"age": 3, "seen": [1]}, "trace": {"a": [{}]}, "candidates": ['
        ' {"ad": "\\u20ac\\"", "tags": ["a", 1, null]}, {"tags": null, "ö": true}, {"ö": false, "ad": ""}, {} ]}'
    ).encode()
    request = reader.read(body, 4)
    text, lists = pa.string(), pa.list_(pa.string())
    assert dict(request.user) == {"age": pa.array(["3"], text)}
    assert dict(request.candidates) == {
        "ad": pa.array(['€"', None, "", None], text),
        "tags": pa.array([["a", "1", None], None, None, None], lists),
        "ö": pa.array([None, True, False, None]),
    }
    assert request.num_candidates == 4
    assert set(request.ignored) == {"seen", "trace"}


@every_reader
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b"{}", "candidates"),
        (b'{"candidates": {}}', "list"),
        (b'{"candidates": [1]}', "object"),
        (b'{"candidates": [], "user": 1}', "object"),
        (b'{"candidates": [{}], "candidates": []}', "twice"),
        (b'{"candidates": [{"ad": 1, "ad": 1}]}', "candidate 1, column 'ad': is given twice"),
        (b'{"candidates": [{}, {"ad": [1]}]}', "candidate 2, column 'ad': is a list"),
        (b'{"candidates": [{}, {"ad": {}}]}', "candidate 2, column 'ad': is an object"),
        (b'{"candidates": [{"tags": [[1]]}]}', "column 'tags': is a list of lists"),
        (b'{"candidates": [{"tags": [1]}, {"tags": 1}]}', "column 'tags': holds lists and single values"),
        (b'{"candidates": [{"tags": 1}, {"tags": [1]}]}', "column 'tags': holds lists and single values"),
        (b'{"candidates": [{}, {"age": 1e999}]}', "candidate 2, column 'age', value '1e999': is too large"),
        (b'{"candidates": [{}, {}, {}]}', "more than 2 candidates"),
        (b'{"user": {"ad": 1}, "candidates": [{"ad": 1}]}', "column 'ad': is given for the user and"),
        (b'{"candidates": [{"ad": NaN}]}', "JSON"),
        (b'{"candidates": [{"ad": 01}]}', "JSON"),
        (b'{"candidates": [{"ad": "a\nb"}]}', "JSON"),
        (b'{"candidates": [{"ad": "\xff"}]}', "UTF-8"),
        (b'{"candidates": [{"ad": "\\ud800"}]}', "surrogate"),
        (b'{"candidates": []} x', "JSON"),
        (b'{"candidates": [],}', "JSON"),
        (b'\xef\xbb\xbf{"candidates": []}', "JSON"),
    ],
)
def test_what_is_refused_says_where(reader: Any, body: bytes, says: str) -> None:
    with pytest.raises(RequestError) as error:
        reader.read(body, 2)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("depth", [MAX_DEPTH - 4, MAX_DEPTH - 3, MAX_DEPTH - 2, 200, 200_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_depth_is_bounded(depth: int, pair: str) -> None:
    value = "[" * depth + "]" * depth if pair == "[]" else '{"a":' * depth + "1" + "}" * depth
    started = time.perf_counter()
    inside = agree(b'{"candidates": [{"other": %s}]}' % value.encode())
    assert (inside is not None) == (depth + 3 <= MAX_DEPTH)
    assert agree(b'{"candidates": [{"ad": 1}], "x": %s' % (b"[" * depth)) is None
    assert time.perf_counter() - started < 2.0


@every_reader
def test_many_unknown_keys_are_not_all_kept(reader: Any) -> None:
    body = json.dumps({"candidates": [{f"k{i}": i for i in range(1000)}]}).encode()
    assert len(reader.read(body, 1).ignored) == MAX_IGNORED


@compiled_only
def test_large_garbage_is_refused_quickly() -> None:
    reader = CompiledReader(KINDS)
    bodies = [b"[" * 10**7, b'{"' * 10**6, b"\xff" * 10**7, b'{"candidates": [' + b"{}," * 10**6, b" " * 10**7]
    for body in bodies:
        started = time.perf_counter()
        with pytest.raises(RequestError):
            reader.read(body, 1000)
        assert time.perf_counter() - started < 0.5
