"""Prepares the next batches in a background thread while the current one is trained on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

from clickwise.batch import Batch
from clickwise.read_ahead import read_ahead

_DEPTH = 2


def prefetch(batches: Iterator[Batch], *, distinct: tuple[int, ...] | None) -> closing[Generator[Batch, None, None]]:
    """Give the same batches, read ahead by one thread; leaving the block ends the thread, however it is left.

    Args:
        batches: the source. An exception in it is raised where the batches are used.
        distinct: find the distinct rows of these groups of slots (`Ranker.slot_starts()`) ahead of time too, as
            training needs them; None is for scoring.
    """

    def prepared() -> Generator[Batch, None, None]:
        for batch in batches:
            if distinct is not None:
                batch.distinct_of(distinct)
            yield batch

    return closing(read_ahead(prepared(), depth=_DEPTH, name="clickwise-prefetch"))
