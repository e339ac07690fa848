"""What shapes a ranked list: at most so many of a kind, and not all alike."""

from __future__ import annotations

import numpy as np


def within_caps(kinds: np.ndarray, most: int) -> np.ndarray:
    """Which places of a list [n], best first, stay when each kind [n] may come at most `most` times: the first ones.

    Kinds below 0 are not known, and not capped.

    >>> within_caps(np.array([4, 4, 7, 4, -1, -1]), 2).tolist()
    [True, True, True, False, True, True]
    """
    order = np.argsort(kinds, kind="stable")
    sorted_kinds = kinds[order]
    new = np.r_[True, sorted_kinds[1:] != sorted_kinds[:-1]] if len(kinds) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(new, np.arange(len(kinds)), 0))
    before = np.empty(len(kinds), np.int64)  # how often the kind came before
    before[order] = np.arange(len(kinds)) - first
    return (before < most) | (kinds < 0)


def diversified(relevance: np.ndarray, vectors: np.ndarray, k: int, weight: float) -> np.ndarray:
    """Places [k] of a list by maximal marginal relevance, in the order they are taken.

    The next is always the i of highest (1 - w) r_i / max r - w max_j cos(v_i, v_j), over the j that are taken.

    Args:
        relevance: [n] r >= 0.
        vectors: [n, K] of the same items.
        k: at most n.
        weight: w in [0, 1]; 0 leaves the order of relevance.

    Reference: Carbonell and Goldstein 1998, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
    Producing Summaries", Section 2.
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    value = (1.0 - weight) * relevance / max(float(relevance.max(initial=0.0)), 1e-300)
    alike = np.full(len(relevance), -np.inf)
    taken = np.empty(min(k, len(relevance)), np.int64)
    for place in range(len(taken)):
        penalty = alike if place else np.zeros(len(alike))
        gain = value - weight * penalty
        gain[taken[:place]] = -np.inf
        taken[place] = int(np.argmax(gain))
        alike = np.maximum(alike, unit @ unit[taken[place]])
    return taken
