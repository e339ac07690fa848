"""Metrics that are ratios of sums over the rows: log loss, normalized entropy, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from clickwise.registry import register_metric


def probability(logit: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logit)) in float64 [n], without overflow."""
    z = np.asarray(logit, np.float64)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def logit_of(prob: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) in float64 [n]; -inf at 0 and inf at 1."""
    p = np.asarray(prob, np.float64)
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p)


def row_log_loss(logit: np.ndarray, label: np.ndarray) -> np.ndarray:
    """-log of the probability given to a row's label: softplus(-logit) for a click, else softplus(logit).  [n] float64

    Taken from the logit, so that a confident row costs what it should and not the log of a clipped probability.
    """
    z = np.asarray(logit, np.float64)
    against = np.where(np.asarray(label) > 0, -z, z)
    return np.maximum(against, 0.0) + np.log1p(np.exp(-np.abs(against)))


@dataclass(frozen=True, slots=True)
class LogisticSums:
    """Sums over rows from which the three metrics follow. Sums of parts add up to the sums of the whole.

    Args:
        rows: number of rows; a row of weight zero counts.
        positives: number of rows whose label is 1.
        weight: sum w.
        weight_label: sum w y.
        weight_prob: sum w p.
        weight_loss: sum w l, with l the log loss of a row.
        weight2: sum w^2.
        weight2_loss: sum w^2 l.
        weight2_loss2: sum w^2 l^2.
    """

    rows: int = 0
    positives: int = 0
    weight: float = 0.0
    weight_label: float = 0.0
    weight_prob: float = 0.0
    weight_loss: float = 0.0
    weight2: float = 0.0
    weight2_loss: float = 0.0
    weight2_loss2: float = 0.0

    @classmethod
    def of(cls, logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> LogisticSums:
        """The sums of rows with `logit` [n], `label` [n] of 0 and 1, `weight` [n] >= 0 (None counts as 1)."""
        y = np.asarray(label) > 0
        loss, prob = row_log_loss(logit, y), probability(logit)
        w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        # a row of weight zero adds nothing, not even an infinite loss times zero
        weighted_loss = np.multiply(w, loss, out=np.zeros(len(y)), where=w > 0)
        return cls(
            rows=len(y),
            positives=int(np.count_nonzero(y)),
            weight=float(w.sum()),
            weight_label=float(w[y].sum()),
            weight_prob=float((w * prob).sum()),
            weight_loss=float(weighted_loss.sum()),
            weight2=float((w * w).sum()),
            weight2_loss=float((w * weighted_loss).sum()),
            weight2_loss2=float((weighted_loss * weighted_loss).sum()),
        )

    def __add__(self, other: LogisticSums) -> LogisticSums:
        return LogisticSums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def log_loss(self) -> float:
        """sum w l / sum w."""
        return _ratio(self.weight_loss, self.weight)

    @property
    def normalized_entropy(self) -> float:
        """Log loss over the entropy of the click rate; nan when only one class is there."""
        rate = _ratio(self.weight_label, self.weight)
        if not 0.0 < rate < 1.0:
            return math.nan
        return self.log_loss / -(rate * math.log(rate) + (1.0 - rate) * math.log1p(-rate))

    @property
    def calibration(self) -> float:
        """sum w p / sum w y."""
        return _ratio(self.weight_prob, self.weight_label)

    @property
    def log_loss_stderr(self) -> float:
        """Standard error of the log loss, rows taken as independent: sqrt(n/(n-1) sum w^2 (l - mean)^2) / sum w."""
        if self.rows < 2 or not self.weight > 0.0 or not math.isfinite(self.log_loss):
            return math.nan
        mean = self.log_loss
        spread = self.weight2_loss2 - 2.0 * mean * self.weight2_loss + mean * mean * self.weight2
        return math.sqrt(max(spread, 0.0) * self.rows / (self.rows - 1)) / self.weight


@register_metric("log_loss")
def log_loss(
    logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, group: np.ndarray | None = None
) -> float:
    """Weighted mean of -(y log p + (1 - y) log(1 - p)), with p = sigmoid(logit).

    >>> round(log_loss(np.array([0.0, 0.0]), np.array([0, 1])), 6)
    0.693147
    """
    return LogisticSums.of(logit, label, weight).log_loss


@register_metric("normalized_entropy")
def normalized_entropy(
    logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, group: np.ndarray | None = None
) -> float:
    """Log loss divided by that of always giving the click rate; below 1 is better than knowing nothing.

    Reference: He et al. 2014, Practical Lessons from Predicting Clicks on Ads at Facebook, Eq. 3.
    """
    return LogisticSums.of(logit, label, weight).normalized_entropy


@register_metric("calibration")
def calibration(
    logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None, group: np.ndarray | None = None
) -> float:
    """Expected clicks over observed clicks, sum w p / sum w y: 1 is right, above 1 too much; nan without clicks."""
    return LogisticSums.of(logit, label, weight).calibration


def log_loss_stderr(logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Standard error of `log_loss`, rows taken as independent."""
    return LogisticSums.of(logit, label, weight).log_loss_stderr


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0.0 else math.nan
