"""Area under the ROC curve, and its standard error."""

from __future__ import annotations

import math

import numpy as np

from clickwise.registry import register_metric


@register_metric("roc_auc")
def roc_auc(
    logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, group: np.ndarray | None = None
) -> float:
    """The chance that a click scores above a non-click, a tie counting one half (ranks of ties are averaged).

    AUC = sum_{i in pos, j in neg} w_i w_j ([z_i > z_j] + [z_i = z_j] / 2) / (sum_pos w sum_neg w); nan without both
    classes.

    >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 0, 1, 1]))
    0.875
    """
    positive = np.asarray(label) > 0
    above = _sorted_scores(logit, positive, weight)
    below = _sorted_scores(logit, ~positive, weight)
    if above is None or below is None:
        return math.nan
    (scores, total), (other, other_total) = above, below
    won = _mass_below(scores, other, other_total)
    return float(np.dot(won, np.diff(total)) / (total[-1] * other_total[-1]))


def roc_auc_stderr(logit: np.ndarray, label: np.ndarray) -> float:
    """Standard error of the unweighted `roc_auc`; nan with fewer than two rows of a class.

    The variance is var(V10) / m + var(V01) / n over the m clicks and n non-clicks, where V10 of a click is the share of
    non-clicks it scores above, and V01 of a non-click the share of clicks that score above it. Both follow from two
    sorts, ties included.

    Reference: DeLong et al. 1988; Sun and Xu 2014, Fast Implementation of DeLong's Algorithm, Eqs. 10-12.
    """
    positive = np.asarray(label) > 0
    above, below = _sorted_scores(logit, positive, None), _sorted_scores(logit, ~positive, None)
    if above is None or below is None or len(above[0]) < 2 or len(below[0]) < 2:
        return math.nan
    (pos, pos_count), (neg, neg_count) = above, below
    v10 = _mass_below(pos, neg, neg_count) / len(neg)
    v01 = 1.0 - _mass_below(neg, pos, pos_count) / len(pos)
    return math.sqrt(v10.var(ddof=1) / len(pos) + v01.var(ddof=1) / len(neg))


def _sorted_scores(
    logit: np.ndarray, chosen: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """The chosen scores in ascending order [m], and the weight that lies before each and after the last [m + 1].

    None when nothing of weight is chosen, or a score is nan.
    """
    scores = np.asarray(logit)[chosen]
    if weight is None:
        scores = np.sort(scores)  # values alone sort several times as fast as positions
        total = np.arange(len(scores) + 1, dtype=np.float64)
    else:
        order = np.argsort(scores)
        scores = scores[order]
        total = np.concatenate([[0.0], np.cumsum(np.asarray(weight)[chosen][order], dtype=np.float64)])
    if not total[-1] > 0.0 or np.isnan(scores[-1]):  # nan sorts last
        return None
    return scores, total


def _mass_below(scores: np.ndarray, other: np.ndarray, total: np.ndarray) -> np.ndarray:
    """For each of the sorted `scores`, the weight of `other` below it, and half of what equals it."""
    return 0.5 * (total[np.searchsorted(other, scores, "left")] + total[np.searchsorted(other, scores, "right")])
