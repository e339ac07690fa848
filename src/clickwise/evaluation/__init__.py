"""Measures scored rows and says how good they are, beside how good they could be. Knows neither bundles nor files."""

from __future__ import annotations

from clickwise.evaluation.compare import attained_share, compare
from clickwise.evaluation.cross_gains import CrossGain, ScoredRows, cross_gains
from clickwise.evaluation.evaluate import ScoredBlock, evaluate_blocks
from clickwise.evaluation.report import EvaluationReport

__all__ = [
    "CrossGain",
    "EvaluationReport",
    "ScoredBlock",
    "ScoredRows",
    "attained_share",
    "compare",
    "cross_gains",
    "evaluate_blocks",
]
