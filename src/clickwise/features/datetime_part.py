"""Times as categories: the hour of the day, the day of the week, and so on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.config import require
from clickwise.features.timestamps import to_timestamps
from clickwise.features.transform import Fit, SparseTransform, State
from clickwise.native.requests import InputPlan, Target, TimePart
from clickwise.registry import register_transform
from clickwise.schema import FIRST_TOKEN, MISSING, Field

_NUM_VALUES: dict[TimePart, int] = {"minute": 60, "hour": 24, "weekday": 7, "hour_of_week": 168, "day": 31, "month": 12}
_MINUTE_US = 60_000_000


@register_transform("datetime")
class DateTimePart(SparseTransform):
    """id = 2 + the part of the time, in UTC, counted from 0; missing is 0. Weeks begin on Monday."""

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Which part, and how the times are written.

        Args:
            part: the part of the time to take.
            format: a `strptime` format for times that are not ISO 8601 or Unix times, such as "%y%m%d%H".
        """

        part: TimePart
        format: str | None = None

        def __post_init__(self) -> None:
            require(self.part in _NUM_VALUES, "part", self.part, ", ".join(_NUM_VALUES))
            readable = self.format is None or "%" in self.format
            require(readable, "format", self.format, "a strptime format, such as %Y-%m-%d %H:%M:%S")

    def __init__(self, name: str, config: Config) -> None:
        self.config = config
        self._field = Field(name=name, num_ids=FIRST_TOKEN + _NUM_VALUES[config.part])

    @classmethod
    def parse(cls, config: Config, column: pa.Array) -> pa.Array:
        """Time stamps [n]."""
        return to_timestamps(column, config.format)

    @classmethod
    def fit(cls, name: str, config: Config) -> Fit:
        """There is nothing to fit."""
        return _DateTimePartFit(name, config)

    @property
    def field(self) -> Field:
        """The field the ids belong to."""
        return self._field

    def ids(self, parsed: pa.Array) -> np.ndarray:
        """[n, 1] int32 ids."""
        absent = parsed.is_null().to_numpy(zero_copy_only=False)
        present = parsed.fill_null(0)
        return np.where(absent, MISSING, FIRST_TOKEN + self._part(present)).astype(np.int32)[:, None]

    def _part(self, times: pa.TimestampArray) -> np.ndarray:
        part = self.config.part
        if part == "day":
            return pc.day(times).to_numpy() - 1
        if part == "month":
            return pc.month(times).to_numpy() - 1
        minutes = times.cast(pa.int64()).to_numpy() // _MINUTE_US
        if part == "minute":
            return minutes % 60
        hours = minutes // 60 + 3 * 24  # 1970-01-01 was a Thursday: day 3 of a week that begins on Monday
        if part == "hour_of_week":
            return hours % 168
        return hours % 24 if part == "hour" else hours // 24 % 7

    def compile_into(self, plan: InputPlan, target: Target) -> bool:
        """Times in the usual spellings."""
        return plan.add_time(target, self.config.part, self.config.format)

    def state(self) -> State:
        """Nothing."""
        return State({})

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> DateTimePart:
        """The transform of this config."""
        return cls(name, config)


class _DateTimePartFit(Fit):
    def __init__(self, name: str, config: DateTimePart.Config) -> None:
        self._name = name
        self._config = config

    def update(self, parsed: pa.Array) -> None:
        """Nothing to learn."""

    def finish(self) -> DateTimePart:
        return DateTimePart(self._name, self._config)
