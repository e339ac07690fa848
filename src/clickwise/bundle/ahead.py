"""Scores the next blocks in background threads while the current one is written or measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from clickwise.bundle.bundle import Bundle
from clickwise.data.source import Block
from clickwise.features.side_by_side import processors


def score_ahead(
    bundle: Bundle, blocks: Iterable[Block]
) -> Generator[tuple[Block, Callable[[Block], np.ndarray]], None, None]:
    """Give each block, in order, and what scores it: the logits [n] float32 of `Bundle.score`.

    The block as it came was scored ahead; one with fewer rows is scored when asked for. One thread a processor, each
    block by one of them: parts of one operation that wait for each other are lost time when another program runs too.

    Raises:
        BadCells: from the scorer, cells that cannot be read.
    """
    threads = processors()
    before = torch.get_num_threads()
    waiting: deque[tuple[Block, Future[np.ndarray]]] = deque()
    workers = ThreadPoolExecutor(threads, "clickwise-score", initializer=lambda: torch.set_num_threads(1))
    try:
        for block in blocks:
            waiting.append((block, workers.submit(bundle.score, block.data)))
            if len(waiting) > threads:
                yield _scorer(bundle, *waiting.popleft())
        while waiting:
            yield _scorer(bundle, *waiting.popleft())
    finally:
        workers.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _scorer(bundle: Bundle, block: Block, logits: Future[np.ndarray]) -> tuple[Block, Callable[[Block], np.ndarray]]:
    return block, lambda b: logits.result() if b is block else bundle.score(b.data)
