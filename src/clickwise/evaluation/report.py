"""What an evaluation found, for people (`str`) and for machines (`to_data`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clickwise.evaluation.table import number, table
from clickwise.metrics import ReliabilityBin

BAR_WIDTH = 24
"""Characters of the longest bar of the reliability table."""
Z95 = 1.96
"""Standard errors on either side of a value that cover it 95 times in 100."""


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """How well scores predict labels.

    Args:
        metrics: value by metric name; nan where the rows do not define it.
        rows: rows measured.
        positives: rows whose label is 1.
        source: what was measured, in the user's words: a path, "frame".
        stderr: standard error by metric name, where it is known.
        reliability: bins of equal mass from low scores to high.
        best_possible: the metrics of the true probabilities on the same rows; None when they are not known.
        quarantined: rows that could not be read and are in no figure above.
        seconds: time it took.
    """

    metrics: Mapping[str, float]
    rows: int
    positives: int
    source: str = ""
    stderr: Mapping[str, float] = field(default_factory=dict)
    reliability: tuple[ReliabilityBin, ...] = ()
    best_possible: Mapping[str, float] | None = None
    quarantined: int = 0
    seconds: float = 0.0

    @property
    def positive_rate(self) -> float:
        """Share of the rows whose label is 1, weights aside."""
        return self.positives / self.rows if self.rows else math.nan

    def to_data(self) -> dict[str, Any]:
        """The report as JSON can hold it; nan and infinity become null."""
        return {
            "source": self.source,
            "rows": self.rows,
            "positives": self.positives,
            "positive_rate": _finite(self.positive_rate),
            "quarantined": self.quarantined,
            "seconds": round(self.seconds, 3),
            "metrics": _finite_values(self.metrics),
            "stderr": _finite_values(self.stderr),
            "best_possible": None if self.best_possible is None else _finite_values(self.best_possible),
            "reliability": [{name: _finite(value) for name, value in b._asdict().items()} for b in self.reliability],
        }

    def __str__(self) -> str:
        parts = ["\n".join(self._headline()), "\n".join(self._metrics_table())]
        if self.reliability:
            parts.append("\n".join(self._reliability_table()))
        return "\n\n".join(parts)

    def _headline(self) -> list[str]:
        name = f"{self.source}: " if self.source else ""
        lines = [
            f"{name}{self.rows:,} rows, {self.positives:,} clicks ({self.positive_rate:.2%}), {self.seconds:.1f} s"
        ]
        if self.quarantined:
            lines.append(f"{self.quarantined:,} rows could not be read and are not counted")
        return lines

    def _metrics_table(self) -> list[str]:
        best = self.best_possible or {}
        rows = []
        for name, value in self.metrics.items():
            error, top = self.stderr.get(name), best.get(name)
            gap = None if top is None else value - top
            rows.append(
                [
                    name,
                    number(value, 5),
                    "" if error is None or math.isnan(error) else f"± {Z95 * error:.5f}",
                    number(top, 5),
                    number(gap, 5, sign="+"),
                ]
            )
        return table(["metric", "value", "95 %", "best possible", "gap"], rows)

    def _reliability_table(self) -> list[str]:
        """Predicted and observed rate by bin; the bar is the observed rate, and | marks the predicted one."""
        top = max(max(b.mean_prob, b.mean_label) for b in self.reliability) or 1.0
        rows = [
            [f"{i}", f"{b.weight:,.0f}", f"{b.mean_prob:.4%}", f"{b.mean_label:.4%}"]
            for i, b in enumerate(self.reliability, start=1)
        ]
        lines = table(["bin", "weight", "predicted", "observed"], rows)
        bars = (_bar(b.mean_label / top, b.mean_prob / top) for b in self.reliability)
        return [
            lines[0] + "  bar: observed, | predicted",
            *(f"{x}  {bar}" for x, bar in zip(lines[1:], bars, strict=True)),
        ]


def _bar(filled: float, mark: float) -> str:
    """A bar of `filled` in [0, 1] of the full width, with | where `mark` in [0, 1] stands."""
    cells = ["#" if (i + 0.5) / BAR_WIDTH <= filled else " " for i in range(BAR_WIDTH)]
    cells[min(int(mark * BAR_WIDTH), BAR_WIDTH - 1)] = "|"
    return "".join(cells).rstrip()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite_values(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}
