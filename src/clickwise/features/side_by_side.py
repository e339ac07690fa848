"""Work on several columns at the same time: kernels, Arrow and NumPy let other threads run while they compute."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

FEW_ROWS = 2048
"""Up to so many rows, starting threads costs more than it gains."""
_MOST_THREADS = 8


def side_by_side(work: Callable[[T], R], items: Iterable[T], rows: int) -> list[R]:
    """[work(item) for item in items], in threads when each is about `rows` rows of work.

    The threads live as long as the call, so that none is left to a forked process. Of several errors the one of the
    first item is raised.
    """
    todo = list(items)
    threads = min(processors(), _MOST_THREADS, len(todo))
    if rows <= FEW_ROWS or threads <= 1:
        return [work(item) for item in todo]
    results: list[R | None] = [None] * len(todo)
    errors: dict[int, BaseException] = {}
    places = iter(range(len(todo)))

    def take_turns() -> None:
        for place in places:  # shared: each thread takes the next one
            try:
                results[place] = work(todo[place])
            except BaseException as error:  # noqa: BLE001 - raised below
                errors[place] = error

    others = [threading.Thread(target=take_turns, daemon=True) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    take_turns()
    for thread in others:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return results  # type: ignore[return-value]


def processors() -> int:
    """Those that this process may use, where the system says it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
