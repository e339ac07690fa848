"""What was measured of one system."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Figure(NamedTuple):
    """A value and its standard error; nan where they are not defined."""

    value: float
    stderr: float

    @classmethod
    def mean(cls, values: np.ndarray) -> Figure:
        """Of values [n], one a query; those that are nan are left out."""
        there = values[~np.isnan(values)].astype(np.float64)
        if not len(there):
            return cls(math.nan, math.nan)
        error = there.std(ddof=1) / math.sqrt(len(there)) if len(there) > 1 else math.nan
        return cls(float(there.mean()), float(error))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The lists of one system for Q queries, cut at several lengths.

    Args:
        ks: lengths, rising.
        values: by metric, [Q, len(ks)] float32 of each query; nan where it is not defined.
        coverage: at each length; empty when it was not measured.
        slice_recall: [Q, S, len(ks)] float32, share of the relevant items of a slice that are in the list; nan where
            there are none. None: there are no slices.
        slice_share: [S, len(ks)] share of all places of all lists that items of a slice take.
    """

    ks: tuple[int, ...]
    values: Mapping[str, np.ndarray]
    coverage: Sequence[Figure] = ()
    slice_recall: np.ndarray | None = None
    slice_share: np.ndarray | None = None

    def figures(self) -> dict[str, Figure]:
        """By name, such as `recall_at_20`: metric by metric, and within one by length."""
        found = {
            f"{name}_at_{k}": Figure.mean(values[:, at])
            for name, values in self.values.items()
            for at, k in enumerate(self.ks)
        }
        return found | {f"coverage_at_{k}": figure for k, figure in zip(self.ks, self.coverage, strict=False)}

    def to_data(self) -> dict[str, Any]:
        """`metrics` and `stderr` by name; nan becomes null."""
        figures = self.figures()
        return {
            "metrics": {name: finite(figure.value) for name, figure in figures.items()},
            "stderr": {name: finite(figure.stderr) for name, figure in figures.items()},
        }


def finite(value: float) -> float | None:
    """The value as JSON can hold it."""
    return float(value) if math.isfinite(value) else None
