"""Numbers as categories: the bucket a number falls in has an embedding."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.errors import BundleError
from clickwise.features.numeric import number_values, places, to_numbers
from clickwise.features.sampling import BottomK, quantile_cuts
from clickwise.features.state_values import read_rising
from clickwise.features.transform import Fit, SparseTransform, State
from clickwise.native.requests import InputPlan, Target
from clickwise.registry import register_transform
from clickwise.schema import FIRST_TOKEN, MISSING, Field

MAX_BUCKETS = 10_000


@register_transform("bucket")
class Bucket(SparseTransform):
    """id = 2 + the number of boundaries at or below x; missing is 0.

    Boundaries that are not given are quantiles, equal ones merged. A column with no more than `num_buckets` distinct
    values gets a bucket for each.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Where to cut.

        Args:
            num_buckets: buckets at most, of about as many rows each.
            boundaries: rising numbers to cut at, in place of quantiles.
        """

        num_buckets: int = 32
        boundaries: tuple[float, ...] = ()

        def __post_init__(self) -> None:
            require(2 <= self.num_buckets <= MAX_BUCKETS, "num_buckets", self.num_buckets, f"2 to {MAX_BUCKETS}")
            cuts = self.boundaries
            rising = all(math.isfinite(b) for b in cuts) and all(a < b for a, b in pairwise(cuts))
            require(rising, "boundaries", cuts, "finite numbers, each larger than the one before")
            require(len(cuts) < MAX_BUCKETS, "boundaries", f"{len(cuts)} numbers", f"fewer than {MAX_BUCKETS}")

    def __init__(self, name: str, config: Config, cuts: np.ndarray) -> None:
        self.config = config
        self._cuts = cuts
        self._field = Field(name=name, num_ids=FIRST_TOKEN + len(cuts) + 1)

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
        return _BucketFit(name, config)

    @property
    def field(self) -> Field:
        """The field the ids belong to."""
        return self._field

    def ids(self, parsed: pa.Array) -> np.ndarray:
        """[n, 1] int32 ids."""
        return places(number_values(parsed), self._cuts, FIRST_TOKEN, MISSING)[:, None]

    def compile_into(self, plan: InputPlan, target: Target) -> bool:
        """By its cuts."""
        plan.add_bucket(target, self._cuts)
        return True

    def state(self) -> State:
        """The boundaries in use."""
        return State({"cuts": self._cuts.tolist()})

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> Bucket:
        """The transform that `state` describes."""
        cuts = read_rising(state, "cuts")
        if len(cuts) >= MAX_BUCKETS:
            raise BundleError(f"cuts holds {len(cuts)} numbers, allowed are fewer than {MAX_BUCKETS}")
        return cls(name, config, cuts)


class _BucketFit(Fit):
    def __init__(self, name: str, config: Bucket.Config) -> None:
        self._name = name
        self._config = config
        self._sample = BottomK()

    def update(self, parsed: pa.Array) -> None:
        if not self._config.boundaries:
            self._sample.add(number_values(parsed))

    def finish(self) -> Bucket:
        cuts = np.array(self._config.boundaries) if self._config.boundaries else self._fitted_cuts()
        return Bucket(self._name, self._config, cuts)

    def _fitted_cuts(self) -> np.ndarray:
        ordered = self._sample.sorted_values()
        distinct = np.unique(ordered)
        if len(distinct) <= self._config.num_buckets:
            return distinct[1:]
        cuts = np.unique(quantile_cuts(ordered, self._config.num_buckets))
        return cuts[cuts > distinct[0]]  # a cut at the smallest value would leave the first bucket empty
