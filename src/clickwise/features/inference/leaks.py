"""Columns that give the label away: written after the click, or derived from it. They are not known when scoring."""

from __future__ import annotations

import numpy as np

from clickwise.features.inference.profile import Profile

LEAK_AUC = 0.99
"""A single column that ranks this well is too good to be true."""
MIN_EACH = 20
"""Rows of each class that a verdict needs."""


def leak(column: Profile, label: np.ndarray) -> str | None:
    """How the column gives the label away, in words; None when it does not, or too few rows say so.

    Args:
        label: [n] float32, 0 or 1, NaN where it is unknown.
    """
    known = ~np.isnan(label)
    index, positive = column.index[known], label[known] == 1
    missing = index < 0
    auc = _auc(missing.astype(np.float64), positive)
    if auc > LEAK_AUC:
        return f"whether it is missing tells the label (AUC {auc:.3f})"
    if column.numbers is not None:
        auc = _auc(column.numbers[known][~missing], positive[~missing])
        if auc > LEAK_AUC:
            return f"its value tells the label (AUC {auc:.3f})"
    auc = _token_auc(index, positive)
    if auc > LEAK_AUC:
        return f"its values tell the label (AUC {auc:.3f} on rows held out)"
    return None


def _token_auc(index: np.ndarray, positive: np.ndarray) -> float:
    """AUC of each value's click rate, counted on the even rows and scored on the odd ones."""
    fitted, held_out = slice(0, None, 2), slice(1, None, 2)
    values = index + 1  # 0: missing
    size = int(values.max(initial=0)) + 1
    count = np.bincount(values[fitted], minlength=size)
    clicks = np.bincount(values[fitted], weights=positive[fitted], minlength=size)
    prior = positive[fitted].mean() if len(positive) else 0.0
    rate = (clicks + prior) / (count + 1)
    return _auc(rate[values[held_out]], positive[held_out], both_ways=False, min_each=MIN_EACH // 2)


def _auc(score: np.ndarray, positive: np.ndarray, *, both_ways: bool = True, min_each: int = MIN_EACH) -> float:
    """Area under the ROC curve, ties by average rank; 0.5 with too few rows of a class.

    Args:
        both_ways: a score that ranks the wrong way round counts as well as one that ranks the right way.
    """
    positives = int(np.count_nonzero(positive))
    negatives = len(positive) - positives
    if min(positives, negatives) < min_each:
        return 0.5
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    auc = (rank[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return max(auc, 1 - auc) if both_ways else auc
