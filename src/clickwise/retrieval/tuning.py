"""How well an index finds, and how much it has to look at for the recall that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from clickwise.retrieval.exact import ExactIndex
from clickwise.retrieval.index_config import IndexConfig
from clickwise.retrieval.vector_index import VectorIndex, checked_queries

_MOST_QUERIES = 500
_TIMED_QUERIES = 200
_TIMED_SECONDS = 2.0
_FEWEST_TO_PART = 20
_ROUNDING = 1e-5
"""Of float32 sums in another order."""
_NEARLY = 0.995


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What an index was found to do when it was built.

    Args:
        recall: mean share of the k best items that a search finds.
        k: how many those are.
        num_queries: how many the recall is a mean over.
        queries: what they are. "held out": they were given, and the effort was tuned on others; "given": on the same
            ones, being few; "items": vectors of items, for want of queries. Such find themselves; the recall of real
            queries is another.
        effort: how much a search looks at; 0: everything.
        median_ms: of a search for one query, on one thread.
        p99_ms: the same.
        size_bytes: of the vectors and what finds them.
        build_s: seconds that building took, without tuning.
    """

    recall: float
    k: int
    num_queries: int
    queries: Literal["held out", "given", "items"]
    effort: int
    median_ms: float
    p99_ms: float
    size_bytes: int
    build_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What some queries should find.

    Args:
        vectors: [C, K] float32.
        queries: [Q, K] float32.
        last: [Q] float32, the score of the k-th best vector.
        k: at most C.
    """

    vectors: np.ndarray
    queries: np.ndarray
    last: np.ndarray
    k: int

    @classmethod
    def of(cls, vectors: np.ndarray, queries: np.ndarray, k: int) -> Truth:
        """By looking at all vectors, of which there is one at least."""
        k = min(k, len(vectors))
        return cls(vectors, queries, ExactIndex.of(vectors).search(queries, k).scores[:, -1], k)

    def halves(self) -> tuple[Truth, Truth]:
        """Every second query, and the others; of few queries, all and all."""
        if len(self.queries) < _FEWEST_TO_PART:
            return self, self
        first, second = slice(0, None, 2), slice(1, None, 2)
        return tuple(replace(self, queries=self.queries[part], last=self.last[part]) for part in (first, second))  # type: ignore[return-value]

    def recall(self, index: VectorIndex, threads: int = 1) -> float:
        """Mean share of the k best that the index finds; an item that scores as high as the k-th best is one."""
        found = index.search(self.queries, self.k, threads=threads)
        hits = 0
        for query, rows, last in zip(self.queries, found.rows, self.last, strict=True):
            scores = self.vectors[rows[rows >= 0]] @ query
            hits += int(np.count_nonzero(scores >= last - _ROUNDING * abs(last)))
        return hits / found.rows.size


def tuned(index: VectorIndex, truth: Truth, recall: float, threads: int) -> VectorIndex:
    """The index with the smallest effort that finds the recall.

    Where none does (of items that are nearly alike, half precision mixes up some), the smallest that finds all but half
    a percent of what the greatest does.
    """
    most = index.most_effort
    if not most:
        return index
    found: dict[int, float] = {}

    def reaches(effort: int) -> bool:
        if effort not in found:
            found[effort] = truth.recall(index.with_effort(effort, truth.k), threads)
        return found[effort] >= recall

    low, high = 0, 1
    while high < most and not reaches(high):
        low, high = high, min(2 * high, most)
    if high == most and not reaches(most):
        recall = _NEARLY * found[most]
        low = max((effort for effort, share in found.items() if share < recall), default=0)
        high = min(effort for effort, share in found.items() if share >= recall)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return index.with_effort(high, truth.k)


def built(
    make: Callable[[], VectorIndex],
    vectors: np.ndarray,
    queries: np.ndarray | None,
    config: IndexConfig,
    threads: int,
) -> tuple[VectorIndex, Measured]:
    """An index that was made, tuned and measured.

    Args:
        make: makes it.
        vectors: [C, K], of which it is made.
        queries: [Q, K], vectors such as it will be asked for; of more than 500, as many spread over them are used. Half
            of them tune the effort, the others measure it. None: vectors of items.
        config: the recall that is asked for, or the effort.

    Raises:
        DataError: queries of another dimension, or with a number that is not finite.
    """
    started = time.perf_counter()
    index = make()
    build_s = time.perf_counter() - started
    given = queries is not None and len(queries) > 0
    asked = _spread(checked_queries(queries, index.dim) if queries is not None and given else vectors)
    share, times, measured_on = 1.0, np.zeros(1), 0
    if len(index):
        tuning, measuring = Truth.of(vectors, asked, config.k).halves()
        if config.effort is None:
            index = tuned(index, tuning, config.recall, threads)
        elif index.most_effort:
            index = index.with_effort(min(config.effort, index.most_effort), config.k)
        share, measured_on, times = (
            measuring.recall(index, threads),
            len(measuring.queries),
            latencies_ms(index, asked, config.k),
        )
    return index, Measured(
        recall=share,
        k=config.k,
        num_queries=measured_on,
        queries=("held out" if measured_on < len(asked) else "given") if given else "items",
        effort=index.effort,
        median_ms=float(np.median(times)),
        p99_ms=float(np.quantile(times, 0.99)),
        size_bytes=index.size_bytes,
        build_s=build_s,
    )


def latencies_ms(index: VectorIndex, queries: np.ndarray, k: int) -> np.ndarray:
    """Milliseconds of searches for one query each, on one thread: of 200, or as many as end within 2 seconds."""
    index.search(queries[:1], k)
    times: list[float] = []
    for query in range(_TIMED_QUERIES):
        at = query % len(queries)
        started = time.perf_counter()
        index.search(queries[at : at + 1], k)
        times.append(time.perf_counter() - started)
        if sum(times) > _TIMED_SECONDS:
            break
    return np.array(times) * 1e3


def _spread(queries: np.ndarray) -> np.ndarray:
    """At most 500 of the queries, spread over all."""
    if len(queries) <= _MOST_QUERIES:
        return queries
    return queries[np.linspace(0, len(queries) - 1, _MOST_QUERIES).astype(np.int64)]
