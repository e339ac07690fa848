"""Area under the ROC curve, and its standard error."""

from __future__ import annotations

import numpy as np

from clickwise.metrics.ranking import Ranking, ScoredRows, rank
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
    return _ranked(logit, label, weight).auc()


def roc_auc_stderr(logit: np.ndarray, label: np.ndarray) -> float:
    """Standard error of the unweighted `roc_auc`; nan with fewer than two rows of a class.

    The variance is var(V10) / m + var(V01) / n over the m clicks and n non-clicks, where V10 of a click is the share of
    non-clicks it scores above, and V01 of a non-click the share of clicks that score above it. Both follow from two
    sorts, ties included.

    Reference: DeLong et al. 1988; Sun and Xu 2014, Fast Implementation of DeLong's Algorithm, Eqs. 10-12.
    """
    return _ranked(logit, label, None).auc_stderr()


def _ranked(logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> Ranking:
    return rank([ScoredRows(np.asarray(logit), np.asarray(label) > 0, None if weight is None else np.asarray(weight))])
