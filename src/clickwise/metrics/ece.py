"""Expected calibration error over bins of equal mass, and the bins themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clickwise.metrics.ranking import Ranking, ScoredRows, rank
from clickwise.registry import register_metric

NUM_BINS = 20
"""Bins of `ece` unless told otherwise: 5 % of the rows each."""


class ReliabilityBin(NamedTuple):
    """Rows of neighbouring scores: their mean probability, mean label and weight."""

    mean_prob: float
    mean_label: float
    weight: float


@register_metric("ece")
def ece(
    logit: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray | None = None,
    group: np.ndarray | None = None,
    num_bins: int = NUM_BINS,
) -> float:
    """Weighted mean over bins of |mean probability - mean label|, bins of equal mass (`reliability_bins`).

    Noise makes it positive even for the true probabilities, by about sqrt(2 p (1 - p) / (pi n)) with n rows a bin.

    Reference: Naeini et al. 2015; equal-mass bins as in Nguyen and O'Connor 2015.
    """
    return ece_of(reliability_bins(logit, label, weight, num_bins))


def ece_of(bins: Sequence[ReliabilityBin]) -> float:
    """Weighted mean over bins of |mean probability - mean label|; nan without bins."""
    total = sum(b.weight for b in bins)
    return sum(b.weight * abs(b.mean_prob - b.mean_label) for b in bins) / total if total > 0.0 else math.nan


def reliability_bins(
    logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """At most `num_bins` bins of about equal weight, from low scores to high.

    Rows of one score are never parted (they go where the middle of their weight falls), so the bins depend neither on
    the order of the rows nor on whether a row of weight 2 is written once or twice. Bins without weight are left out.
    """
    mass = None if weight is None else np.asarray(weight)
    return bins_of(rank([ScoredRows(np.asarray(logit), np.asarray(label) > 0, mass)]), num_bins)


def bins_of(ranking: Ranking, num_bins: int) -> list[ReliabilityBin]:
    """`reliability_bins` of rows that are in order."""
    return [ReliabilityBin(p / m, c / m, m) for m, p, c in ranking.bin_sums(num_bins).tolist() if m > 0]
