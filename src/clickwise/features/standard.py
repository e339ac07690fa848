"""Numbers with mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clickwise.features.finite import check_finite
from clickwise.features.moments import Moments, Scale
from clickwise.features.numeric import number_values, to_numbers
from clickwise.features.transform import DenseTransform, Fit, State
from clickwise.native.requests import InputPlan
from clickwise.registry import register_transform


@register_transform("standard")
class Standardise(DenseTransform):
    """x -> (x - mean) / std, by the fitted mean and standard deviation; 0 for a constant column."""

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """What a missing value becomes.

        Args:
            missing: the number that stands for a missing value; 0 is the mean.
        """

        missing: float = 0.0

        def __post_init__(self) -> None:
            check_finite("missing", self.missing)

    def __init__(self, config: Config, scale: Scale) -> None:
        self.config = config
        self._scale = scale

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
        """Begin to take the mean and standard deviation."""
        return _StandardiseFit(config)

    def numbers(self, parsed: pa.Array) -> np.ndarray:
        """[n] float32."""
        return self._scale.apply(number_values(parsed), self.config.missing)

    def compile_into(self, plan: InputPlan, column: int, place: int) -> bool:
        """By mean and standard deviation."""
        plan.add_scaled(column, place, self.config.missing, self._scale.mean, self._scale.std)
        return True

    def state(self) -> State:
        """Mean and standard deviation."""
        return self._scale.state()

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> Standardise:
        """The transform that `state` describes."""
        return cls(config, Scale.of(state))


class _StandardiseFit(Fit):
    def __init__(self, config: Standardise.Config) -> None:
        self._config = config
        self._moments = Moments()

    def update(self, parsed: pa.Array) -> None:
        self._moments.add(number_values(parsed))

    def finish(self) -> Standardise:
        return Standardise(self._config, self._moments.scale())
