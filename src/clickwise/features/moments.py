"""Mean and standard deviation of a stream, and numbers standardised by them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from clickwise.errors import BundleError
from clickwise.features.state_values import read_number
from clickwise.features.transform import State

EXTREME = 1e100
"""Larger numbers count as this one, so that squares of them are finite."""

FARTHEST = 1e6
"""Standard deviations from the mean where numbers are cut off, so that one broken cell cannot overflow a model."""


@dataclass(frozen=True, slots=True)
class Scale:
    """x -> (x - mean) / std; 0 for a constant column.

    Args:
        mean: mean of the fitted column.
        std: standard deviation of the fitted column (of the population).
    """

    mean: float
    std: float

    def apply(self, x: np.ndarray, missing: float) -> np.ndarray:
        """[n] float32; `missing` where x is NaN."""
        if self.std > 0:
            z = np.clip((np.clip(x, -EXTREME, EXTREME) - self.mean) / self.std, -FARTHEST, FARTHEST)
        else:
            z = np.zeros_like(x)
        return np.where(np.isnan(x), missing, z).astype(np.float32)

    def state(self) -> State:
        """Mean and standard deviation."""
        return State({"mean": self.mean, "std": self.std})

    @classmethod
    def of(cls, state: State) -> Scale:
        """The inverse of `state`.

        Raises:
            BundleError: the state does not make sense.
        """
        scale = cls(read_number(state, "mean"), read_number(state, "std"))
        if scale.std < 0:
            raise BundleError(f"std is {scale.std}, below 0")
        return scale


class Moments:
    """Mean and variance by merging those of chunks, counted from the first number so that a constant has variance 0.

    Reference: Chan, Golub and LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances".
    """

    def __init__(self) -> None:
        self._origin: float | None = None
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take in one more chunk [n]; NaN is left out."""
        x = np.clip(values[~np.isnan(values)], -EXTREME, EXTREME)
        if not len(x):
            return
        if self._origin is None:
            self._origin = float(x[0])
        x = x - self._origin
        mean = float(x.mean())
        squares = float(((x - mean) ** 2).sum())
        count = self._count + len(x)
        delta = mean - self._mean
        self._mean += delta * len(x) / count
        self._squares += squares + delta**2 * self._count * len(x) / count
        self._count = count

    def scale(self) -> Scale:
        """What standardises the numbers seen so far; mean 0 and std 0 when there were none."""
        std = math.sqrt(self._squares / self._count) if self._count else 0.0
        return Scale((self._origin or 0.0) + self._mean, std)
