"""Scored rows in order of score, shared by the metrics that need that order: sorted once for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from clickwise.metrics.logistic import probability
from clickwise.native import Tier, tier
from clickwise.native.ranking import MAX_ROWS, CompiledRanking


class ScoredRows(NamedTuple):
    """A piece of scored rows: `logit` [n], `label` [n] bool, `weight` [n] or None for ones."""

    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None


class Ranking(Protocol):
    """What the order of the rows says."""

    def auc(self) -> float:
        """Weighted share of the pairs of a click and another row that are in the right order, ties half; or nan."""

    def auc_stderr(self) -> float:
        """DeLong's standard error of the unweighted AUC; nan with fewer than two rows of a class."""

    def bin_sums(self, num_bins: int) -> np.ndarray:
        """[num_bins, 3]: weight, weight * probability and weight of clicks, in bins of equal weight by score.

        Rows of one score are in one bin, where the middle of their weight falls. [0, 3] without weight or with nan.
        """


def rank(parts: Sequence[ScoredRows]) -> Ranking:
    """Put rows in order. Compiled where the kernels are in use and scores and weights are float32."""
    rows = sum(len(part.label) for part in parts)
    columns = [column for part in parts for column in (part.logit, part.weight) if column is not None]
    if tier() >= Tier.EMBEDDINGS and rows <= MAX_ROWS and all(column.dtype == np.float32 for column in columns):
        clicks = sum(int(np.count_nonzero(part.label)) for part in parts)
        return CompiledRanking(parts, rows, clicks, any(part.weight is not None for part in parts))
    return NumpyRanking(*joined(parts))


def joined(parts: Sequence[ScoredRows]) -> ScoredRows:
    """The parts as one."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return ScoredRows(np.empty(0, np.float32), np.empty(0, bool), None)
    weight = None
    if any(part.weight is not None for part in parts):
        ones = (np.ones(len(p.label), np.float32) if p.weight is None else p.weight for p in parts)
        weight = np.concatenate(list(ones))
    return ScoredRows(np.concatenate([p.logit for p in parts]), np.concatenate([p.label for p in parts]), weight)


class NumpyRanking:
    """The reference: any kind of numbers, in a few times the memory of the rows.

    Args:
        logit: [n] scores.
        label: [n] bool.
        weight: [n] >= 0; None counts as 1.
    """

    def __init__(self, logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> None:
        self._logit, self._label, self._weight = logit, label, weight

    def auc(self) -> float:
        above, below = self._sorted(self._label, self._weight), self._sorted(~self._label, self._weight)
        if above is None or below is None:
            return math.nan
        (scores, total), (other, other_total) = above, below
        won = _mass_below(scores, other, other_total)
        return float(np.dot(won, np.diff(total)) / (total[-1] * other_total[-1]))

    def auc_stderr(self) -> float:
        above, below = self._sorted(self._label, None), self._sorted(~self._label, None)
        if above is None or below is None or len(above[0]) < 2 or len(below[0]) < 2:
            return math.nan
        (pos, pos_count), (neg, neg_count) = above, below
        v10 = _mass_below(pos, neg, neg_count) / len(neg)
        v01 = 1.0 - _mass_below(neg, pos, pos_count) / len(pos)
        return math.sqrt(v10.var(ddof=1) / len(pos) + v01.var(ddof=1) / len(neg))

    def bin_sums(self, num_bins: int) -> np.ndarray:
        order = np.argsort(self._logit)
        scores = self._logit[order]
        if not len(scores) or np.isnan(scores[-1]):  # nan sorts last
            return np.empty((0, 3))
        starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
        mass = np.ones(len(order)) if self._weight is None else np.asarray(self._weight, np.float64)[order]
        run_mass = np.add.reduceat(mass, starts)
        run_clicks = np.add.reduceat(np.where(self._label[order], mass, 0.0), starts)
        up_to = np.cumsum(run_mass)
        if not up_to[-1] > 0.0:
            return np.empty((0, 3))
        middle = (up_to - 0.5 * run_mass) / up_to[-1]
        place = np.minimum((middle * num_bins).astype(np.int64), num_bins - 1)
        values = (run_mass, run_mass * probability(scores[starts]), run_clicks)
        return np.stack([np.bincount(place, value, num_bins) for value in values], axis=1)

    def _sorted(self, chosen: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
        """The chosen scores in ascending order [m], and the weight that lies before each and after the last [m + 1].

        None when nothing of weight is chosen, or a score is nan.
        """
        scores = self._logit[chosen]
        if weight is None:
            scores = np.sort(scores)  # values alone sort several times as fast as positions
            total = np.arange(len(scores) + 1, dtype=np.float64)
        else:
            order = np.argsort(scores)
            scores = scores[order]
            total = np.concatenate([[0.0], np.cumsum(np.asarray(weight)[chosen][order], dtype=np.float64)])
        if not total[-1] > 0.0 or np.isnan(scores[-1]):
            return None
        return scores, total


def _mass_below(scores: np.ndarray, other: np.ndarray, total: np.ndarray) -> np.ndarray:
    """For each of the sorted `scores`, the weight of `other` below it, and half of what equals it."""
    return 0.5 * (total[np.searchsorted(other, scores, "left")] + total[np.searchsorted(other, scores, "right")])
