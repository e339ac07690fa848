"""Several reports on the same rows, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping

from clickwise.evaluation.report import Z95, EvaluationReport
from clickwise.evaluation.table import number, table


def attained_share(report: EvaluationReport, baseline: EvaluationReport) -> float | None:
    """How much of the gain that is possible over `baseline` was reached: (NE_base - NE) / (NE_base - NE_best).

    1 is the best that any model can do, 0 no better than the baseline, below 0 worse. None when the best is not known,
    nan when the baseline cannot be beaten.
    """
    if report.best_possible is None or "normalized_entropy" not in report.best_possible:
        return None
    base, best = baseline.metrics["normalized_entropy"], report.best_possible["normalized_entropy"]
    return (base - report.metrics["normalized_entropy"]) / (base - best) if base > best else math.nan


def compare(reports: Mapping[str, EvaluationReport], baseline: str | None = None) -> str:
    """A table of models measured on the same rows, and, where it is known, of the best any model could do on them.

    Args:
        reports: report by model name, in the order to show.
        baseline: the model against which gains are counted; None for the first.
    """
    base = reports[baseline if baseline is not None else next(iter(reports))]
    rows = []
    for name, report in reports.items():
        error = report.stderr.get("roc_auc", math.nan)
        share = attained_share(report, base)
        rows.append(
            [
                name,
                number(report.metrics.get("roc_auc")),
                "" if math.isnan(error) else f"± {Z95 * error:.4f}",
                number(report.metrics.get("normalized_entropy")),
                number(report.metrics.get("calibration"), 3),
                "" if share is None else "-" if math.isnan(share) else f"{share:.0%}",
            ]
        )
    best = base.best_possible
    if best is not None:
        figures = [
            number(best.get("roc_auc")),
            "",
            number(best.get("normalized_entropy")),
            number(best.get("calibration"), 3),
        ]
        rows.append(["best possible", *figures, "100%"])
    header = ["model", "AUC", "95 %", "normalized entropy", "calibration", "share of attainable gain"]
    return "\n".join(table(header, rows))
