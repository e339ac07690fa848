"""Exact search of all items for a few queries at a time, each with items of its own left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from clickwise.retrieval.found import Found
from clickwise.retrieval.held_out import RowLists
from clickwise.retrieval.merging import padded

_SCORES_AT_ONCE = 1 << 22
_FEWEST, _MOST = 8, 256


def query_blocks(num_queries: int, num_items: int) -> Iterator[np.ndarray]:
    """Numbers of the queries, a block at a time: as many as have 16 MB of scores, at least 8."""
    size = max(_FEWEST, min(_MOST, _SCORES_AT_ONCE // max(1, num_items)))
    for start in range(0, num_queries, size):
        yield np.arange(start, min(start + size, num_queries))


def best_items(queries: np.ndarray, items: np.ndarray, k: int, excluded: RowLists) -> Found:
    """The k items of the highest dot products for each query.

    Args:
        queries: [Q, K] float32.
        items: [C, K] float32.
        excluded: what is left out, for each of these queries.
    """
    score = queries @ items.T
    score[excluded.query, excluded.rows] = -np.inf
    best = torch.from_numpy(score).topk(min(k, len(items)), 1)
    return _found(best.indices.numpy(), best.values.numpy(), k)


def most_popular(popularity: np.ndarray, excluded: RowLists) -> Callable[[np.ndarray, int], Found]:
    """A search of no model: for the queries [n] by number, their k items of the highest popularity.

    Args:
        popularity: [C]; among equals the lowest row comes first.
        excluded: what is left out, for each of all queries.
    """
    order = np.argsort(-popularity, kind="stable")

    def search(queries: np.ndarray, k: int) -> Found:
        here = excluded.take(queries)
        rows = np.tile(order[: k + int(here.counts.max(initial=0))], (len(queries), 1))
        return without(Found(rows, popularity[rows].astype(np.float32)), here, k, len(popularity))

    return search


def without(found: Found, excluded: RowLists, k: int, num_items: int) -> Found:
    """The first k of what was found, less what is left out for each query.

    A search that knows nothing of a query's own items asks for as many more as its longest list, and comes here.
    """
    gone = np.zeros((len(excluded), num_items), bool)
    gone[excluded.query, excluded.rows] = True
    dropped = np.take_along_axis(gone, np.maximum(found.rows, 0), 1)
    first = np.argsort(dropped, 1, kind="stable")[:, :k]
    dropped, rows, scores = (np.take_along_axis(part, first, 1) for part in (dropped, found.rows, found.scores))
    return _found(rows, np.where(dropped, -np.inf, scores).astype(np.float32), k)


def _found(rows: np.ndarray, scores: np.ndarray, k: int) -> Found:
    """`Found` of k places, where nothing was found those of a score of -inf."""
    return padded(Found(np.where(np.isneginf(scores), -1, rows), scores), k)
