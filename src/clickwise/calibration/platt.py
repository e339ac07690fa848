"""Platt scaling: two numbers that make a model's logits right on rows it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from clickwise.config import require
from clickwise.metrics import probability

_MOST_STEPS = 100
_SMALLEST_GAIN = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Platt:
    """z -> slope z + intercept. The order of rows stays, and with it the AUC.

    Args:
        slope: > 0; below 1 the model was too sure of itself.
        intercept: finite; above 0 the model expected too few clicks.

    Reference: Platt 1999, "Probabilistic Outputs for Support Vector Machines", Section 2.2.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        require(0.0 < self.slope < math.inf, "slope", self.slope, "a number > 0")
        require(math.isfinite(self.intercept), "intercept", self.intercept, "a finite number")

    def __call__(self, logit: np.ndarray) -> np.ndarray:
        """The calibrated logits [n] float32 of logits [n]."""
        return (self.slope * np.asarray(logit, np.float64) + self.intercept).astype(np.float32)

    @classmethod
    def fit(cls, logit: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> Platt | None:
        """The numbers of the least log loss; None where no positive slope has it: the model knows nothing of the rows.

        Labels are taken as Platt does, a click as (n1 + 1) / (n1 + 2) and the rest as 1 / (n0 + 2), with n1 and n0 the
        weight of each, so that rows which a threshold tells apart do not ask for an infinite slope.

        Args:
            logit: [n], of rows that the model was not trained on.
            label: [n] of 0 and 1.
            weight: [n] >= 0; None counts as 1.
        """
        z = np.asarray(logit, np.float64)
        w = np.ones(len(z)) if weight is None else np.asarray(weight, np.float64)
        clicked = np.asarray(label) > 0
        clicks, others = float(w[clicked].sum()), float(w[~clicked].sum())
        target = np.where(clicked, (clicks + 1.0) / (clicks + 2.0), 1.0 / (others + 2.0))
        slope, intercept = _newton(z, target, w)
        return cls(slope=slope, intercept=intercept) if slope > 0.0 else None


def _newton(z: np.ndarray, target: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    """argmin of sum w (softplus(a z + b) - t (a z + b)) over a and b, a convex function, by damped Newton steps."""
    x = np.stack([z, np.ones_like(z)], 1)
    at = np.array([1.0, 0.0])
    loss = _loss(x @ at, target, w)
    for _ in range(_MOST_STEPS):
        p = probability(x @ at)
        gradient = x.T @ (w * (p - target))
        hessian = (x * (w * p * (1.0 - p))[:, None]).T @ x
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        share = 1.0
        while (new := _loss(x @ (at - share * step), target, w)) > loss and share > 1e-10:
            share /= 2.0
        if not loss - new > _SMALLEST_GAIN * abs(loss):
            break
        at, loss = at - share * step, new
    return float(at[0]), float(at[1])


def _loss(z: np.ndarray, target: np.ndarray, w: np.ndarray) -> float:
    return float((w * (np.logaddexp(0.0, z) - target * z)).sum())
