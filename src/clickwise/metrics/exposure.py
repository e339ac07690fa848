"""Which items lists recommend, whoever wanted them: how many, how well known, and how much better known than wanted.

`rows` [Q, k] are the items of each query's list, -1 where it is shorter; `popularity` [C] is how many training
interactions each item has. An item without any counts as one with one, so that logarithms are defined.
"""

from __future__ import annotations

import numpy as np


class Coverage:
    """Share of all items that are in any list, with its standard error; takes lists block by block.

    The share grows with the number of queries: compare it only on the same ones. The standard error is that of the
    jackknife over queries: without query q the share is lower by d_q / C, d_q its items that no other list has.

    Reference: Burnham and Overton 1978, "Estimation of the Size of a Closed Population when Capture Probabilities vary
    Among Animals", for the jackknife of a number of distinct things.

    Args:
        num_items: C.

    >>> coverage = Coverage(4)
    >>> coverage.update(np.array([[0, 1], [0, -1]]))
    >>> coverage.value
    0.5
    """

    def __init__(self, num_items: int) -> None:
        self._lists = np.zeros(num_items, np.int64)  # how many have each item
        self._last = np.zeros(num_items, np.int64)  # the last query that has it
        self._queries = 0

    def update(self, rows: np.ndarray) -> None:
        """Take in the lists of more queries [Q, k]."""
        query, place = np.nonzero(rows >= 0)
        found = rows[query, place]
        self._lists += np.bincount(found, minlength=len(self._lists))
        self._last[found] = query + self._queries
        self._queries += len(rows)

    @property
    def value(self) -> float:
        """Share of the items that are in a list; nan when there are no items."""
        return float(np.count_nonzero(self._lists) / len(self._lists)) if len(self._lists) else float("nan")

    @property
    def stderr(self) -> float:
        """Its standard error; nan with fewer than two queries."""
        if self._queries < 2 or not len(self._lists):
            return float("nan")
        alone = np.bincount(self._last[self._lists == 1], minlength=self._queries) / len(self._lists)
        return float(np.sqrt((self._queries - 1) * alone.var()))


def novelty_at_k(rows: np.ndarray, popularity: np.ndarray, total: int) -> np.ndarray:
    """Mean over a list of -log2 (popularity / total), in bits: what is known by few is news.  [Q], nan of an empty list

    Args:
        total: training interactions of all items.

    Reference: Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems"
    (self-information), of interactions instead of users.
    """
    return np.log2(max(total, 1)) - _mean_log(rows, popularity) / np.log(2.0)


def popularity_bias_at_k(rows: np.ndarray, popularity: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean ln popularity of a list, less that of what the query's relevant items have: 0 is as popular as what people
    choose, 0.7 twice as popular.  [Q], nan of an empty list

    Measured against the choices because these are popular too: a list of what is popular among all is no bias where
    people want just that. In logarithms because popularity is spread over orders of magnitude, so that a mean of counts
    tells of a few items alone.

    Args:
        wanted: [Q] from `mean_log_popularity`.
    """
    return _mean_log(rows, popularity) - wanted


def mean_log_popularity(query: np.ndarray, popularity: np.ndarray, num_queries: int) -> np.ndarray:
    """Mean ln popularity of each query's items.  [Q], nan of a query that has none

    Args:
        query: [n] in [0, Q), whose item each is.
        popularity: [n] of the items.
    """
    total = np.bincount(query, np.log(np.maximum(popularity, 1)), num_queries)
    count = np.bincount(query, minlength=num_queries)
    return np.divide(total, count, out=np.full(num_queries, np.nan), where=count > 0)


def _mean_log(rows: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """Mean ln popularity of each list.  [Q]"""
    query, place = np.nonzero(rows >= 0)
    return mean_log_popularity(query, popularity[rows[query, place]], len(rows))
