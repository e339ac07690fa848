"""Prepares the next batches in a background thread while the current one is trained on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clickwise.batch import Batch

_DEPTH = 2
_POLL_S = 0.1


@contextmanager
def prefetch(batches: Iterator[Batch], *, distinct: tuple[int, ...] | None) -> Iterator[Iterator[Batch]]:
    """Give the same batches, read ahead by one thread; leaving the block ends the thread, however it is left.

    Args:
        batches: the source. An exception in it is raised where the batches are used.
        distinct: find the distinct rows of these groups of slots (`Ranker.slot_starts()`) ahead of time too, as
            training needs them; None is for scoring.
    """
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(_DEPTH)
    stop = threading.Event()

    def put(item: Batch | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for batch in batches:
                if distinct is not None:
                    batch.distinct_of(distinct)
                if not put(batch):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that uses the batches
            put(error)

    def take() -> Iterator[Batch]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=work, name="clickwise-prefetch", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stop.set()
        thread.join()
