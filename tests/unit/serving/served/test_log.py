"""`ServedLog` is never in the way of the work."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from clickwise.features.pipeline import Encoded
from clickwise.serving.engine.request import Request
from clickwise.serving.engine.scores import Scores, Served
from clickwise.serving.served import log as log_module
from clickwise.serving.served.log import ServedLog
from clickwise.serving.served.rows import Answered

KINDS = {"user": "text", "tags": "list"}


def answered(rows: int = 2, version: str = "one") -> Answered:
    encoded = Encoded(np.ones((rows, 3), np.int32), np.zeros((rows, 0), np.float32), None)
    scores = Scores(np.zeros(rows, np.float32), served=Served(Request({}, {}, rows), encoded))
    return Answered("r", 1, 1, KINDS, version, "f", scores)


def counting() -> tuple[Counter[str], Any]:
    found: Counter[str] = Counter()
    return found, lambda outcome, count: found.update({outcome: count})


def test_what_there_is_no_time_for_is_dropped(tmp_path: Path) -> None:
    found, counted = counting()
    log = ServedLog(tmp_path, 1.0, 10_000, 60.0, counted)
    for _ in range(300):  # nobody takes them out
        log.offer(answered())
    assert found == {"dropped": 300 - 256}
    log.start()
    log.close()
    assert found == {"dropped": 44, "written": 256}
    (file,) = tmp_path.iterdir()
    table = pq.read_table(file)
    assert table.num_rows == 512 and table["served.numbers"].to_pylist()[0] == []
    assert table["tags"].null_count == 512


def test_each_version_has_its_files(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, 1.0, 10_000, 60.0)
    for version in ("one", "one", "two"):
        log.offer(answered(version=version))
    log.start()
    log.close()
    assert sorted(pq.read_metadata(path).num_rows for path in tmp_path.iterdir()) == [2, 4]


def test_a_file_does_not_wait_for_ever(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, 1.0, 10_000, 0.05)
    log.start()
    log.offer(answered())
    for _ in range(200):
        if list(tmp_path.glob("*.parquet")):
            break
        time.sleep(0.02)
    assert list(tmp_path.glob("served-*.parquet"))
    log.close()
    assert threading.active_count() < 50


def test_a_request_that_cannot_be_kept_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(answered: Answered) -> None:
        raise ValueError("strange")

    monkeypatch.setattr(log_module, "rows_of", wrong)
    found, counted = counting()
    told: list[str] = []
    log = ServedLog(tmp_path, 1.0, 10, 60.0, counted, told.append)
    log.offer(answered())
    log.start()
    log.close()
    assert found == {"failed": 1} and told == ["strange"]


def test_a_share_is_kept(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, 0.25, 10, 60.0)
    assert 400 < sum(log.wants() for _ in range(2000)) < 600
    assert not any(ServedLog(tmp_path, 0.0, 10, 60.0).wants() for _ in range(100))
