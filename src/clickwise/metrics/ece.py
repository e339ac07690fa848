"""Expected calibration error over bins of equal mass, and the bins themselves."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from clickwise.metrics.logistic import probability
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
    bins = reliability_bins(logit, label, weight, num_bins)
    total = sum(b.weight for b in bins)
    return sum(b.weight * abs(b.mean_prob - b.mean_label) for b in bins) / total if total > 0.0 else math.nan


def reliability_bins(
    logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """At most `num_bins` bins of about equal weight, from low scores to high.

    Rows of one score are never parted (they go where the middle of their weight falls), so the bins depend neither on
    the order of the rows nor on whether a row of weight 2 is written once or twice. Bins without weight are left out.
    """
    scores = np.asarray(logit)
    order = np.argsort(scores)
    scores = scores[order]
    if not len(scores) or np.isnan(scores[-1]):
        return []
    starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
    mass = np.ones(len(order)) if weight is None else np.asarray(weight, np.float64)[order]
    run_mass = np.add.reduceat(mass, starts)
    run_clicks = np.add.reduceat(np.where(np.asarray(label)[order] > 0, mass, 0.0), starts)
    up_to = np.cumsum(run_mass)
    if not up_to[-1] > 0.0:
        return []
    middle = (up_to - 0.5 * run_mass) / up_to[-1]
    place = np.minimum((middle * num_bins).astype(np.int64), num_bins - 1)
    in_bin = np.bincount(place, run_mass, num_bins)
    prob = np.bincount(place, run_mass * probability(scores[starts]), num_bins)
    clicks = np.bincount(place, run_clicks, num_bins)
    return [
        ReliabilityBin(float(p / m), float(c / m), float(m))
        for p, c, m in zip(prob, clicks, in_bin, strict=True)
        if m > 0
    ]
