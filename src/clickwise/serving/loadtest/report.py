"""`LoadReport`: the steps of a load test as a table, as data and as a curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from clickwise.serving.loadtest.step import BUSY, Step

PERCENTS = (50.0, 95.0, 99.0, 99.9)
_HEAD = ("rate/s", "goodput/s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "busy", "failed", "late ms")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Args:
    steps: by rising rate.
    bound_ms: on the 99th percentile.
    """

    steps: tuple[Step, ...]
    bound_ms: float

    @property
    def measured(self) -> tuple[Step, ...]:
        """The steps that say something of the server."""
        return tuple(step for step in self.steps if not step.is_spoiled(self.bound_ms))

    @property
    def best_rate(self) -> float | None:
        """The highest rate below which every measured step held the bound; None: not even the lowest did."""
        best = None
        for step in self.measured:
            if not step.holds(self.bound_ms):
                break
            best = step.rate
        return best

    def to_data(self) -> dict[str, Any]:
        """JSON-ready, without NaN."""
        return {
            "bound_ms": self.bound_ms,
            "best_rate": self.best_rate,
            "steps": [{**self._row(step), "measured": not step.is_spoiled(self.bound_ms)} for step in self.steps],
        }

    def __str__(self) -> str:
        rows = [[_shown(value) for value in self._row(step).values()] for step in self.steps]
        widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (_HEAD, *rows)
        ]
        spoiled = [f"{step.rate:.0f}" for step in self.steps if step.is_spoiled(self.bound_ms)]
        found = "no step held it" if self.measured else "no step was measured"
        if self.best_rate is not None:
            found = f"held up to {self.best_rate:.0f} requests/s"
        lines.append(f"p99 within {self.bound_ms:g} ms: {found}")
        if spoiled:
            lines.append(
                f"not measured: {', '.join(spoiled)} requests/s, where the load generator itself was too slow; "
                "run it on another machine or on other cores"
            )
        lines.append("late: the load generator's own delay, 99th percentile, counted into the latency")
        return "\n".join(lines)

    def _row(self, step: Step) -> dict[str, Any]:
        percentiles = {f"p{percent:g}_ms": _number(step.percentile_ms(percent)) for percent in PERCENTS}
        busy = int(np.isin(step.status, BUSY).sum())
        return {
            "rate": round(step.rate, 1),
            "goodput": round(step.goodput(self.bound_ms), 1),
            **percentiles,
            "busy": busy,
            "failed": int((~step.answered).sum()) - busy,
            "late_ms": _number(step.late_ms),
        }


def _number(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)
