"""Takes the next items of a stream in a thread of its own while the last one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from queue import Empty, Queue
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def read_ahead(items: Generator[T, None, None], *, depth: int, name: str) -> Generator[T, None, None]:
    """The same items in the same order, made by a thread: up to `depth` ready, and one in the making.

    Its thread closes `items`. An exception in there is raised here, after the items before it. Close the generator
    (`contextlib.closing`) to end the thread early.

    Args:
        items: the source; nothing else may use it.
        depth: items that wait, at least 1.
        name: of the thread.
    """
    ready: Queue[tuple[object, BaseException | None]] = Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_work, args=(items, ready, stop), name=name, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield cast(T, item)
    finally:
        stop.set()
        while thread.is_alive():  # it may be waiting to hand over
            try:
                ready.get_nowait()
            except Empty:
                thread.join(0.01)


def _work(
    items: Generator[T, None, None], ready: Queue[tuple[object, BaseException | None]], stop: threading.Event
) -> None:
    failure: BaseException | None = None
    try:
        with closing(items):
            for item in items:
                ready.put((item, None))
                if stop.is_set():
                    return
    except BaseException as error:  # noqa: BLE001 - raised again where the items are used
        failure = error
    ready.put((_END, failure))
