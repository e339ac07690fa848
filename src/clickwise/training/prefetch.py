"""Prepares the next steps in a background thread while the current one is trained on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeVar

from clickwise.read_ahead import read_ahead

_DEPTH = 2
T = TypeVar("T")


def prefetch(steps: Iterator[T]) -> closing[Generator[T, None, None]]:
    """Give the same steps, made ahead by one thread; leaving the block ends the thread, however it is left.

    An exception in `steps` is raised where they are used.
    """
    return closing(read_ahead((step for step in steps), depth=_DEPTH, name="clickwise-prefetch"))
