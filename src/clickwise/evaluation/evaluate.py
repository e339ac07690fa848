"""From scored rows to a report, in one pass."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from clickwise.errors import DataError
from clickwise.evaluation.report import EvaluationReport
from clickwise.metrics import LogisticSums, StreamingMetrics, logit_of
from clickwise.progress import Progress

MISSING_GROUP = 0
"""The group of a row whose group is not known: it counts in every metric but `gauc`."""


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """A piece of scored rows.

    Args:
        logit: [n] what the model says.
        label: [n] what happened, 0 or 1.
        weight: [n] non-negative; None counts as 1.
        group: [n] integer id of the row's group, `MISSING_GROUP` where it is not known; None when there are no groups.
        truth: [n] true probability; None when it is not known, as for all real data.
    """

    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None = None
    group: np.ndarray | None = None
    truth: np.ndarray | None = None


def evaluate_blocks(
    blocks: Iterable[ScoredBlock],
    *,
    source: str = "",
    metrics: Sequence[str] | None = None,
    total_rows: int | None = None,
    strict: bool = True,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Measure scored rows. Memory: that of `StreamingMetrics`, twice when the truth is known.

    Every block carries the same optional columns, or none.

    Args:
        source: what to call the rows in the report and in errors.
        metrics: registered names; None for all.
        total_rows: rows to expect, for the progress bar.
        strict: refuse rows of one class. When false they are measured as far as they can be, with a warning.

    Raises:
        DataError: no rows, or (strict) rows of one class.
        ConfigError: an unknown metric.
    """
    progress = progress or Progress()
    began = time.perf_counter()
    model = StreamingMetrics(metrics, missing_group=MISSING_GROUP)
    best: StreamingMetrics | None = None
    progress.start("evaluate", total_rows)
    for block in blocks:
        model.update(block.logit, block.label, block.weight, block.group)
        if block.truth is not None:
            best = best or StreamingMetrics(metrics, missing_group=MISSING_GROUP)
            best.update(logit_of(block.truth), block.label, block.weight, block.group)
        progress.advance(len(block.label))
    progress.finish()
    _check_classes(model.sums, source, strict, progress)
    return EvaluationReport(
        metrics=model.compute(),
        rows=model.sums.rows,
        positives=model.sums.positives,
        source=source,
        stderr=model.standard_errors(),
        reliability=tuple(model.reliability_bins()),
        best_possible=None if best is None else best.compute(),
        seconds=time.perf_counter() - began,
    )


def _check_classes(sums: LogisticSums, source: str, strict: bool, progress: Progress) -> None:
    if not sums.rows:
        raise DataError("has no rows to evaluate", file=source or None, fix="check the file and its label column")
    if 0 < sums.positives < sums.rows:
        return
    only = 1 if sums.positives else 0
    problem = f"all {sums.rows:,} labels are {only}, so ranking cannot be measured"
    fix = "check the label column, or evaluate on data with both clicks and non-clicks"
    if strict:
        raise DataError(problem, file=source or None, fix=fix)
    progress.warn(str(DataError(problem, file=source or None, fix=fix)))
