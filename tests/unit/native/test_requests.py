"""The compiled reader of requests on bytes that nobody meant; what it says of others is tested with the engine."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.native import requests

pytestmark = pytest.mark.skipif(not requests.compiled(), reason="the compiled kernels were not built")
NAMES = ["a", "b", "tags", "n"]
LISTS = [False, False, True, False]
PIECES = b'|"|\\|\\u|\\ud83d|{|}|[|]|,|:|1e|-|.5|\xe2\x82|\xf0|null|tru|\x00|"a":|[[[[|1e308|1e-320'.split(b"|")
BODY: dict[str, Any] = {
    "user": {"a": "x\u20ac\n", "n": 1.5, "other": [{"deep": [1, {"er": None}]}]},
    "candidates": [{"b": "t", "tags": ["u", None, 3]}, {"tags": None}, {"b": False}, {}, {"tags": [], "b": 1e22}],
}


def mutated(rng: random.Random) -> bytes:
    body = bytearray(json.dumps(BODY, ensure_ascii=rng.random() < 0.5).encode())
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(body))
        body[at : at + rng.randint(0, 6)] = rng.choice(PIECES)
    return bytes(body[: rng.randrange(len(body))] if rng.random() < 0.2 else body)


def plan_of_all() -> requests.InputPlan:
    """Of each kind something: slots 0 to 7, dense columns 0 to 2."""
    plan = requests.InputPlan(100)
    plan.add_hashing(requests.Target(0, 0, 1), 7, 50)
    plan.add_bucket(requests.Target(3, 1, 100), np.array([0.0, 1.0]))
    plan.add_hashing(requests.Target(2, 2, 200, length=2, many=True), 7, 50)
    plan.add_hashing(requests.Target(2, 4, 300, length=2, many=True, history=True), 7, 50)
    plan.add_hashing(requests.Target(1, 6, 400, many=True, separator="t"), 7, 50)
    assert plan.add_time(requests.Target(3, 7, 500), "day", None)
    plan.add_scaled(3, 0, 0.5, 1.0, 2.0)
    plan.add_scaled_log(3, 1, 0.5, 1.0, 2.0)
    plan.add_quantile(3, 2, 0.5, np.array([0.0, 1.0]), 2)
    return plan


RANGES = [
    *((0, 1, 53), (1, 100, 105), (2, 200, 252), (2, 200, 252)),
    *((3, 300, 352), (3, 300, 352), (4, 400, 452), (5, 500, 533)),
]
"""Of each slot: which of the plan fills it, and its rows."""


def fill(plan: requests.InputPlan, read: requests.ReadRequest | requests.ReadRows, count: int) -> bool:
    """Whether the plan could be carried out; what it could is of its fields, or of no row."""
    sparse, dense = np.full((count, 8), -1, np.int32), np.full((count, 3), np.nan, np.float32)
    left = plan.fill(read, sparse, dense, np.arctan)
    for slot, (number, first, end) in enumerate(RANGES):
        ids = sparse[:, slot]
        assert number in left or (((ids >= first) & (ids < end)) | ((ids == 0) & (2 <= slot < 6))).all()
    assert np.isfinite(dense).all()
    return not left


def arrow_columns(rng: random.Random, count: int) -> list[pa.Array]:
    """A column of many types, with nulls, from the middle of a longer one."""

    def some(of: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array([rng.choice(of) for _ in range(count + 3)], kind)

    text = some([None, "", "a", "tt", "1.5", "12", "long text, longer"], pa.string())
    whole = some([None, 0, 3, 90], pa.int64())
    lists = some([None, [], ["a"], ["b", None, "c", ""]], pa.list_(pa.string()))
    texts = [text.cast(kind) for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.binary())]
    kinds = [pa.int8(), pa.uint16(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.decimal128(20)]
    times = [whole.cast(pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")]
    integers = pa.ListArray.from_arrays(lists.offsets, pa.array(range(len(lists.values))))
    others = [text.dictionary_encode(), lists, lists.cast(pa.large_list(pa.string())), integers, pa.nulls(count + 3)]
    return [each.slice(2, count) for each in (*texts, whole, *map(whole.cast, kinds), *times, *others)]


def test_rows_of_any_type_are_taken_or_left() -> None:
    reader, rng, plan, filled = requests.RowsReader(NAMES), random.Random(1), plan_of_all(), 0
    for _ in range(2_000):
        count = rng.choice([1, 2, 9])
        columns = arrow_columns(rng, count)
        given = {name: rng.choice(columns) for name in NAMES if rng.random() < 0.9} or {"a": columns[0]}
        rows = pa.RecordBatch.from_pydict({"other": pa.nulls(count), **given})
        rows.validate(full=True)
        read = reader.read(rows)
        del rows, given, columns
        filled += fill(plan, read, count)
    assert 100 < filled < 1_900


def test_damaged_requests_are_read_or_refused() -> None:
    reader, rng, plan, read = requests.RequestReader(NAMES, LISTS), random.Random(1), plan_of_all(), 0
    for _ in range(20_000):
        found = reader.read(mutated(rng), 10)
        if isinstance(found, requests.Problem):
            assert found.what
            continue
        read += 1
        for side in (found.user, found.candidates):
            for name in side:
                side[name].validate(full=True)
        fill(plan, found, found.num_candidates)
    assert 500 < read < 15_000


def test_every_prefix_of_a_request_is_refused() -> None:
    reader = requests.RequestReader(NAMES, LISTS)
    body = json.dumps(BODY, ensure_ascii=False).encode()
    assert not isinstance(reader.read(body, 10), requests.Problem)
    for end in range(len(body)):
        assert isinstance(reader.read(body[:end], 10), requests.Problem)


def test_arrays_outlive_what_they_were_read_from() -> None:
    column = requests.RequestReader(NAMES, LISTS).read(b'{"candidates": [{"tags": ["long text", "b"]}]}', 1)
    assert isinstance(column, requests.ReadRequest)
    array = column.candidates["tags"]
    del column
    assert array.to_pylist() == [["long text", "b"]]


def test_plans_hold_what_they_are_given_to_its_shape() -> None:
    plan, at = requests.InputPlan(100), requests.Target(0, 0, 1)
    with pytest.raises(ValueError, match="no such directory"):
        plan.add_vocabulary(at, 0, np.zeros(2, np.uint64), np.zeros(2, np.int32), np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="buckets"):
        plan.add_hashing(at, 0, 0)
    with pytest.raises(ValueError, match="single value"):
        plan.add_hashing(at._replace(length=2), 0, 3)
    assert not plan.add_time(at, "hour", "%A")
    plan.add_hashing(at._replace(slot=5), 0, 3)
    plan.add_quantile(1, 2, 0.0, np.zeros(1), 1)
    read = requests.RequestReader(NAMES, LISTS).read(b'{"candidates": [{}]}', 1)
    assert isinstance(read, requests.ReadRequest)
    for slots, numbers in (((1, 5), (1, 3)), ((2, 6), (2, 3)), ((1, 6), (1, 2)), ((1, 6), (2, 3))):
        with pytest.raises(ValueError, match="clickwise kernels"):
            plan.fill(read, np.zeros(slots, np.int32), np.zeros(numbers, np.float32), np.log)
    assert plan.fill(read, np.zeros((1, 6), np.int32), np.zeros((1, 3), np.float32), np.log) == []
