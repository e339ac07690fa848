"""What is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickwise.errors import ClickwiseError, DataError
from clickwise.serving.loadtest.bodies import MLPERF_CANDIDATES, columns_of, made_bodies, read_bodies

KINDS = {"user": "text", "price": "number", "tags": "list", "at": "time"}


def test_candidates_are_as_many_as_mlperf_has() -> None:
    assert len(MLPERF_CANDIDATES) == 20 and np.mean(MLPERF_CANDIDATES) == 270
    sizes = [len(json.loads(body)["candidates"]) for body in made_bodies(KINDS, None)]
    assert sorted(sizes) == sorted(MLPERF_CANDIDATES * 2)
    assert sizes != sorted(sizes)
    assert {len(json.loads(body)["candidates"]) for body in made_bodies(KINDS, 3)} == {3}


def test_cells_fit_their_columns() -> None:
    rows = [row for body in made_bodies(KINDS, 20) for row in json.loads(body)["candidates"]]
    assert all(list(row) == list(KINDS) for row in rows)
    assert all(isinstance(row["user"], str) and isinstance(row["price"], float) for row in rows)
    assert all(1 <= len(row["tags"]) <= 5 and isinstance(row["at"], int) for row in rows)
    assert len({row["user"] for row in rows}) > 500
    assert made_bodies(KINDS, 2) == made_bodies(KINDS, 2)


def test_a_file_of_requests(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text('{"candidates": []}\n{"candidates": [{}]}\n')
    assert read_bodies(path) == [b'{"candidates": []}', b'{"candidates": [{}]}']
    path.write_text("{}\n" * 1500)
    assert len(read_bodies(path)) == 1000
    for text, message in (("", "has no requests"), ("{}\n[]\n", "row 2: is no JSON object"), ("{}\n{\n", "row 2")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_bodies(path)
    with pytest.raises(DataError, match="No such file"):
        read_bodies(tmp_path / "none")


def test_the_server_says_its_columns(server: Any) -> None:
    url = f"http://127.0.0.1:{server.port}"
    told = {"traffic": {"live": 2}, "versions": [{"number": 1, "columns": None}, {"number": 2, "columns": KINDS}]}
    server.models = json.dumps(told).encode()
    assert columns_of(url, "") == KINDS
    for wrong in (b"{}", b"nonsense", json.dumps({**told, "traffic": {"live": None}}).encode()):
        server.models = wrong
        with pytest.raises(ClickwiseError, match="does not say which columns it reads"):
            columns_of(url, "")
