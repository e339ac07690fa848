"""Work on several columns at the same time: kernels, Arrow and NumPy let other threads run while they compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

FEW_ROWS = 2048
"""Up to so many rows, starting threads costs more than it gains."""
_MOST_THREADS = 8


def side_by_side(work: Callable[[T], R], items: Iterable[T], rows: int) -> list[R]:
    """[work(item) for item in items], in threads when each is about `rows` rows of work; the first error is raised."""
    threads = min(_processors(), _MOST_THREADS)
    if rows <= FEW_ROWS or threads == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def _processors() -> int:
    """Those that this process may use, where the system says it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
