"""The background reader: same batches, errors passed on, no thread left behind."""

from __future__ import annotations

import itertools
import threading

import pytest

from clickwise.batch import Batch
from clickwise.training.prefetch import prefetch
from model_inputs import SPECS, InMemoryRows, make_batch


def interrupted_after(batch: Batch) -> None:
    raise KeyboardInterrupt


BATCH = make_batch(SPECS["plain"], 50)


def threads() -> int:
    return sum(t.name == "clickwise-prefetch" for t in threading.enumerate())


def test_gives_the_same_batches_in_order():
    with prefetch(InMemoryRows(BATCH).batches(8, None)) as batches:
        found = list(batches)
    assert [len(b) for b in found] == [8] * 6 + [2]
    assert found[3].sparse.tolist() == BATCH.sparse[24:32].tolist()
    assert threads() == 0


def test_an_error_of_the_source_is_raised_where_batches_are_used():
    def broken():
        yield BATCH
        raise ValueError("broken source")

    with prefetch(broken()) as batches:
        assert next(batches) is BATCH
        with pytest.raises(ValueError, match="broken source"):
            next(batches)
    assert threads() == 0


def test_leaving_early_ends_the_thread_and_reads_no_more_than_two_ahead():
    taken = itertools.count()
    last = 0

    def endless():
        nonlocal last
        while True:
            last = next(taken)
            yield BATCH

    with pytest.raises(KeyboardInterrupt), prefetch(endless()) as batches:
        interrupted_after(next(batches))
    assert threads() == 0
    assert last <= 4
