"""How well lists of found items answer queries: pure functions of where the wanted items stand in them.

Each takes `hits` [Q, k] bool, whether the item at each place of a query's list, best first, is one of its relevant
items, and `relevant` [Q], how many of those there are, also beyond the list; and gives a value for each query [Q]
float64, nan where nothing is relevant. A list shorter than k is one whose last places are no hits.

What is published for retrieval benchmarks such as Gowalla (He et al. 2020, "LightGCN") is the mean over the queries of
`recall_at_k` and `ndcg_at_k` as they are here, k = 20.
"""

from __future__ import annotations

import numpy as np

from clickwise.registry import register_retrieval_metric

MEASURED = ("recall", "ndcg", "hit_rate", "mrr", "map")
"""What is measured, in the order to show."""


@register_retrieval_metric("recall")
def recall_at_k(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant items that are among the first k: hits / relevant. At most k / relevant.

    >>> recall_at_k(np.array([[True, False, True]]), np.array([4]))
    array([0.5])
    """
    return _share(hits.sum(1), relevant)


@register_retrieval_metric("ndcg")
def ndcg_at_k(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Sum over hits of 1 / log2(1 + place), places from 1, over what the best list of k would have.

    The best list has hits at its first min(k, relevant) places.

    Reference: Järvelin and Kekäläinen 2002, "Cumulated Gain-Based Evaluation of IR Techniques", with gains of 0 and 1.
    """
    gain = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.concatenate([[0.0], np.cumsum(gain)])
    return _share(hits @ gain, best[np.minimum(relevant, hits.shape[1])])


@register_retrieval_metric("hit_rate")
def hit_rate_at_k(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """1 where any of the first k is relevant, else 0."""
    return _share(np.any(hits, axis=1), np.minimum(relevant, 1))


@register_retrieval_metric("mrr")
def mrr_at_k(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """1 / place of the first hit, 0 where there is none among the first k; its mean is the mean reciprocal rank."""
    first = hits.argmax(1) + 1.0 if hits.shape[1] else np.ones(len(hits))
    return hit_rate_at_k(hits, relevant) / first


@register_retrieval_metric("map")
def average_precision_at_k(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Sum over hits of the share of hits among the places down to it, over min(k, relevant); its mean is MAP.

    Over min(k, relevant), not over relevant: the best list has 1 also where more is relevant than it has places.
    """
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    return _share((precision * hits).sum(1), np.minimum(relevant, hits.shape[1]))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole [Q], nan where the whole is 0."""
    whole = np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
