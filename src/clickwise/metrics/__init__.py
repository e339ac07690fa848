"""Measures of scored rows: pure functions over logits [n] and labels [n], and one streaming shell around them.

Every metric has the signature `metric(logit, label, weight=None, group=None) -> float` and is registered by name.
Scores are logits; a metric that a set of rows does not define (an AUC without both classes) is nan, never an exception.
"""

from __future__ import annotations

from clickwise.metrics.ece import ReliabilityBin, ece, reliability_bins
from clickwise.metrics.gauc import gauc
from clickwise.metrics.logistic import (
    LogisticSums,
    calibration,
    log_loss,
    log_loss_stderr,
    logit_of,
    normalized_entropy,
    probability,
)
from clickwise.metrics.roc_auc import roc_auc, roc_auc_stderr
from clickwise.metrics.stream import StreamingMetrics

__all__ = [
    "LogisticSums",
    "ReliabilityBin",
    "StreamingMetrics",
    "calibration",
    "ece",
    "gauc",
    "log_loss",
    "log_loss_stderr",
    "logit_of",
    "normalized_entropy",
    "probability",
    "reliability_bins",
    "roc_auc",
    "roc_auc_stderr",
]
