"""Grouped AUC: how well scores order the rows of one user, page or query."""

from __future__ import annotations

import math

import numpy as np

from clickwise.errors import ConfigError
from clickwise.registry import register_metric


@register_metric("gauc")
def gauc(
    logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, group: np.ndarray | None = None
) -> float:
    """sum_g n_g AUC_g / sum_g n_g over the groups with both classes; n_g is the weight (impressions) of the group.

    One sort by (group, score), then sums over runs of equal group and score; nan when no group has both classes.

    Args:
        group: [n] the group of each row; rows with equal values belong together.

    Raises:
        ConfigError: no group is given.

    Reference: Zhu et al. 2017, Optimized Cost per Click in Taobao Display Advertising, Eq. 11.

    >>> gauc(np.array([0.1, 0.9, 0.8, 0.2]), np.array([0, 1, 0, 1]), group=np.array([7, 7, 8, 8]))
    0.5
    """
    if group is None:
        raise ConfigError("group", "gauc needs a group for every row; name a group column in the schema")
    if not len(label):
        return math.nan
    if np.asarray(group).dtype.kind not in "iu":
        group = np.unique(group, return_inverse=True)[1]
    scores = np.asarray(logit)
    if np.isnan(scores).any():
        return math.nan
    order = np.lexsort((scores, group))
    scores, group = scores[order], np.asarray(group)[order]
    positive = np.asarray(label)[order] > 0
    mass = np.ones(len(order)) if weight is None else np.asarray(weight, np.float64)[order]

    new_group = _starts(group)
    new_run = np.flatnonzero(new_group | _starts(scores))  # a run: one group, one score
    won = np.add.reduceat(np.where(positive, mass, 0.0), new_run)
    lost = np.add.reduceat(np.where(positive, 0.0, mass), new_run)
    first = np.flatnonzero(new_group[new_run])  # the run that begins each group
    before = np.cumsum(lost) - lost  # non-clicks in earlier runs, earlier groups included
    before -= np.repeat(before[first], np.diff(first, append=len(new_run)))
    pairs = np.add.reduceat(won * (before + 0.5 * lost), first)
    clicks, rest = np.add.reduceat(won, first), np.add.reduceat(lost, first)
    both = (clicks > 0.0) & (rest > 0.0)
    if not both.any():
        return math.nan
    auc, size = pairs[both] / (clicks[both] * rest[both]), (clicks + rest)[both]
    return float(np.dot(size, auc) / size.sum())


def _starts(values: np.ndarray) -> np.ndarray:
    """Where a run of equal values begins.  [n] bool"""
    return np.concatenate([[True], values[1:] != values[:-1]])
