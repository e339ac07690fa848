"""Numbers through their empirical CDF."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.errors import BundleError
from clickwise.features.finite import check_finite
from clickwise.features.numeric import number_values, places, to_numbers
from clickwise.features.sampling import BottomK, quantile_cuts
from clickwise.features.state_values import read_rising
from clickwise.features.transform import DenseTransform, Fit, State
from clickwise.native.requests import InputPlan
from clickwise.registry import register_transform


@register_transform("quantile")
class Quantile(DenseTransform):
    """x -> (i - 1) / (num_quantiles - 1), in [0, 1], where x falls in the i-th of num_quantiles quantiles by P(X <= x).

    Quantiles come from all values up to 200,000 rows, above that from a uniform sample of so many.
    Reference: Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems", section 4.1.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """How fine to map.

        Args:
            num_quantiles: n_q.
            missing: the number that stands for a missing value.
        """

        num_quantiles: int = 100
        missing: float = 0.0

        def __post_init__(self) -> None:
            require(2 <= self.num_quantiles <= 10_000, "num_quantiles", self.num_quantiles, "2 to 10000")
            check_finite("missing", self.missing)

    def __init__(self, config: Config, cuts: np.ndarray) -> None:
        self.config = config
        self._cuts = cuts

    @classmethod
    def parse(cls, config: Config, column: pa.Array) -> pa.Array:
        """Numbers [n]."""
        return to_numbers(column)

    @classmethod
    def form(cls, config: Config) -> Hashable:
        """As every transform of numbers."""
        return to_numbers

    @classmethod
    def fit(cls, name: str, config: Config) -> Fit:
        """Begin to sample the column."""
        return _QuantileFit(config)

    def numbers(self, parsed: pa.Array) -> np.ndarray:
        """[n] float32 in [0, 1], or `missing`."""
        quantile = places(number_values(parsed), self._cuts, 0, -1)
        return np.where(quantile < 0, self.config.missing, quantile / (self.config.num_quantiles - 1)).astype(
            np.float32
        )

    def compile_into(self, plan: InputPlan, column: int, place: int) -> bool:
        """By its cuts."""
        plan.add_quantile(column, place, self.config.missing, self._cuts, self.config.num_quantiles - 1)
        return True

    def state(self) -> State:
        """The cuts between the quantiles."""
        return State({"cuts": self._cuts.tolist()})

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> Quantile:
        """The transform that `state` describes."""
        cuts = read_rising(state, "cuts")
        if len(cuts) not in (0, config.num_quantiles - 1):
            raise BundleError(f"cuts holds {len(cuts)} numbers, not {config.num_quantiles - 1}")
        return cls(config, cuts)


class _QuantileFit(Fit):
    def __init__(self, config: Quantile.Config) -> None:
        self._config = config
        self._sample = BottomK()

    def update(self, parsed: pa.Array) -> None:
        self._sample.add(number_values(parsed))

    def finish(self) -> Quantile:
        return Quantile(self._config, quantile_cuts(self._sample.sorted_values(), self._config.num_quantiles))
