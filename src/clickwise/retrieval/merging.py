"""What searches found, put together: joined by score, cut to k, less what is not wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clickwise.retrieval.found import Found


def nothing(num_queries: int, k: int) -> Found:
    """[Q, k] of nothing."""
    return Found(np.full((num_queries, k), -1, np.int64), np.full((num_queries, k), -np.inf, np.float32))


def padded(found: Found, k: int) -> Found:
    """The same with k columns, of which there may be fewer."""
    more = ((0, 0), (0, k - found.rows.shape[1]))
    return Found(
        np.pad(found.rows, more, constant_values=-1),
        np.pad(found.scores, more, constant_values=-np.inf),
    )


def renumbered(found: Found, rows: np.ndarray) -> Found:
    """The same, where what was row i is rows[i]."""
    if not len(rows):
        return found
    return Found(np.where(found.rows >= 0, rows[found.rows], -1), found.scores)


def joined(first: Found, second: Found, k: int) -> Found:
    """The k best of both, which share no row; among equals those of `first` come first."""
    rows = np.concatenate([first.rows, second.rows], axis=1)
    scores = np.concatenate([first.scores, second.scores], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return Found(np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1))


def less(found: Found, excluded: Sequence[np.ndarray], k: int) -> Found:
    """The first k of each query that are not among its `excluded` rows."""
    keep = found.rows >= 0
    for query, rows in enumerate(excluded):
        if len(rows):
            keep[query] &= ~np.isin(found.rows[query], rows)
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(keep, order, 1)
    return Found(
        np.where(kept, np.take_along_axis(found.rows, order, 1), -1),
        np.where(kept, np.take_along_axis(found.scores, order, 1), np.float32(-np.inf)),
    )
