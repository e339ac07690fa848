"""The compiled reader of requests on bytes that nobody meant; what it says of others is tested with the engine."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
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


def test_damaged_requests_are_read_or_refused() -> None:
    reader, rng = requests.RequestReader(NAMES, LISTS), random.Random(1)
    plan = requests.InputPlan(100)
    plan.add_hashing(0, 0, 1, 7, 50)
    plan.add_bucket(3, 1, 100, np.array([0.0, 1.0]))
    read = 0
    for _ in range(20_000):
        found = reader.read(mutated(rng), 10)
        if isinstance(found, requests.Problem):
            assert found.what
            continue
        read += 1
        for side in (found.user, found.candidates):
            for name in side:
                side[name].validate(full=True)
        sparse = np.zeros((found.num_candidates, 2), np.int32)
        if plan.fill(found, sparse) and len(sparse):
            assert ((sparse[:, 0] >= 1) & (sparse[:, 0] < 53)).all()
            assert ((sparse[:, 1] >= 100) & (sparse[:, 1] < 105)).all()
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
    plan = requests.InputPlan(100)
    with pytest.raises(ValueError, match="no such directory"):
        plan.add_vocabulary(0, 0, 1, 0, np.zeros(2, np.uint64), np.zeros(2, np.int32), np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="buckets"):
        plan.add_hashing(0, 0, 1, 0, 0)
    plan.add_hashing(0, 5, 1, 0, 3)
    read = requests.RequestReader(NAMES, LISTS).read(b'{"candidates": [{}]}', 1)
    for shape in ((1, 5), (2, 6)):
        with pytest.raises(ValueError, match="clickwise kernels"):
            plan.fill(read, np.zeros(shape, np.int32))
