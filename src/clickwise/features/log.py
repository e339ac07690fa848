"""Numbers with long tails: counts, prices, ages in seconds."""

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


@register_transform("log")
class LogScale(DenseTransform):
    """x -> (y - mean) / std with y = sign(x) log(1 + |x|), by the fitted mean and standard deviation of y."""

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
        return _LogScaleFit(config)

    def numbers(self, parsed: pa.Array) -> np.ndarray:
        """[n] float32."""
        return self._scale.apply(signed_log(number_values(parsed)), self.config.missing)

    def compile_into(self, plan: InputPlan, column: int, place: int) -> bool:
        """By mean and standard deviation."""
        plan.add_scaled_log(column, place, self.config.missing, self._scale.mean, self._scale.std)
        return True

    def state(self) -> State:
        """Mean and standard deviation of the logarithms."""
        return self._scale.state()

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> LogScale:
        """The transform that `state` describes."""
        return cls(config, Scale.of(state))


class _LogScaleFit(Fit):
    def __init__(self, config: LogScale.Config) -> None:
        self._config = config
        self._moments = Moments()

    def update(self, parsed: pa.Array) -> None:
        self._moments.add(signed_log(number_values(parsed)))

    def finish(self) -> LogScale:
        return LogScale(self._config, self._moments.scale())


def signed_log(x: np.ndarray) -> np.ndarray:
    """sign(x) log(1 + |x|)."""
    return np.sign(x) * np.log1p(np.abs(x))
