from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.data.ahead import blocks_ahead
from clickwise.data.source import Block, Quarantine, Source
from clickwise.errors import DataError


class Counting(Source):
    """Blocks of one row each, a bad row before every second one, and an error after the last if asked for."""

    name = "counting"

    def __init__(self, blocks: int, error: Exception | None = None) -> None:
        self._blocks, self._error = blocks, error
        self.made, self.closed = 0, False

    def columns(self) -> dict[str, pa.DataType]:
        return {"x": pa.int64()}

    def blocks(
        self, columns: Sequence[str] | None = None, quarantine: Quarantine | None = None
    ) -> Generator[Block, None, None]:
        try:
            for i in range(self._blocks):
                self.made += 1
                if i % 2 and quarantine is not None:
                    quarantine.add(file="f", row=i, column=None, value=None, reason="odd", text=None)
                yield Block(pa.RecordBatch.from_pydict({"x": [i]}), "f", 0, np.array([i]))
            if self._error:
                if quarantine is not None:
                    quarantine.add(file="f", row=self._blocks, column=None, value=None, reason="last", text=None)
                raise self._error
        finally:
            self.closed = True

    def fingerprint(self) -> str | None:
        return None


class Diary(Quarantine):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def add(self, **row: Any) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.seen.append(("bad", row["row"]))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Generator[None, None, None]:
    yield
    assert not [t for t in threading.enumerate() if t.name == "clickwise-read"]


def test_blocks_and_bad_rows_come_in_the_order_of_the_source() -> None:
    diary = Diary()
    for block in blocks_ahead(Counting(6), None, diary):
        diary.seen.append(int(block.row[0]))
    assert diary.seen == [0, ("bad", 1), 1, 2, ("bad", 3), 3, 4, ("bad", 5), 5]


def test_an_error_comes_after_the_blocks_and_bad_rows_before_it() -> None:
    diary = Diary()
    with pytest.raises(DataError, match="torn"):
        for block in blocks_ahead(Counting(3, DataError("torn")), None, diary):
            diary.seen.append(int(block.row[0]))
    assert diary.seen == [0, ("bad", 1), 1, 2, ("bad", 3)]


def test_who_stops_early_closes_the_source_which_was_not_far_ahead() -> None:
    source = Counting(10_000)
    stream = blocks_ahead(source, None, Diary())
    assert int(next(stream).row[0]) == 0
    stream.close()
    assert source.closed
    assert source.made <= 5
