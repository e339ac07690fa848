"""Metrics of a stream of scored rows, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clickwise.metrics.ece import NUM_BINS, ReliabilityBin, reliability_bins
from clickwise.metrics.logistic import LogisticSums
from clickwise.metrics.roc_auc import roc_auc_stderr
from clickwise.registry import metrics

DEFAULT = ("roc_auc", "log_loss", "normalized_entropy", "calibration", "ece", "gauc")
"""What is measured unless told otherwise; `gauc` only where groups are known."""
SUMMED = ("log_loss", "normalized_entropy", "calibration")
"""Metrics that need only `LogisticSums`."""


class _Rows(NamedTuple):
    """Kept rows, in the order in which a metric takes them."""

    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None
    group: np.ndarray | None

    def where(self, mask: np.ndarray) -> _Rows:
        """The rows where `mask` [n] is true."""
        weight, group = (None if column is None else column[mask] for column in (self.weight, self.group))
        return _Rows(self.logit[mask], self.label[mask], weight, group)


class StreamingMetrics:
    """Takes scored rows chunk by chunk and computes metrics at the end; the chunks' order and sizes do not matter.

    Metrics that are ratios of sums take no memory. The others (`roc_auc`, `gauc`, `ece`, a user's own) are exact, so
    the rows are kept: 5 bytes each (float32 score, bool label), 4 more when weights other than 1 are given, 8 more for
    groups when a metric needs them. 40 million unweighted rows take 200 MB; joining and sorting them takes a few times
    that for a moment.

    Args:
        names: registered metrics; None for `DEFAULT`.
        missing_group: the group value that means "not known"; its rows are left out of `gauc`. None: there is none.

    Raises:
        ConfigError: an unknown name; from `compute`, `gauc` was named and no groups were given.

    >>> stream = StreamingMetrics(["roc_auc", "calibration"])
    >>> stream.update(np.array([0.0, 1.0]), np.array([0, 1]))
    >>> stream.update(np.array([2.0]), np.array([0]))
    >>> {name: round(value, 3) for name, value in stream.compute().items()}
    {'roc_auc': 0.5, 'calibration': 2.112}
    """

    def __init__(self, names: Sequence[str] | None = None, *, missing_group: int | None = None) -> None:
        self._names = DEFAULT if names is None else tuple(names)
        self._optional = ("gauc",) if names is None else ()
        self._missing_group = missing_group
        for name in self._names:
            metrics.get(name, "metrics")
        self._keeps = any(name not in SUMMED for name in self._names)
        self._keeps_group = any(name not in (*SUMMED, "roc_auc", "ece") for name in self._names)
        self._sums = LogisticSums()
        self._logit: list[np.ndarray] = []
        self._label: list[np.ndarray] = []
        self._weight: list[np.ndarray | None] = []
        self._group: list[np.ndarray] = []

    @property
    def sums(self) -> LogisticSums:
        """Rows, clicks and weights seen so far, and the metrics that follow from sums."""
        return self._sums

    def update(
        self,
        logit: np.ndarray,
        label: np.ndarray,
        weight: np.ndarray | None = None,
        group: np.ndarray | None = None,
    ) -> None:
        """Take in rows: `logit` [n], `label` [n] of 0 and 1, `weight` [n] >= 0 (None counts as 1), `group` [n].

        Groups are integers (such as hashes), given with every chunk or with none.
        """
        self._sums += LogisticSums.of(logit, label, weight)
        if not self._keeps:
            return
        self._logit.append(np.array(logit, np.float32))
        self._label.append(np.asarray(label) > 0)
        ones = weight is None or bool((np.asarray(weight) == 1).all())
        self._weight.append(None if ones else np.array(weight, np.float32))
        if group is not None and self._keeps_group:
            self._group.append(np.array(group))

    def compute(self) -> dict[str, float]:
        """Each metric's value over all rows taken in so far; nan where it is not defined."""
        rows = self._rows()
        grouped = rows.group is not None and not (rows.group == self._missing_group).all()
        return {name: self._value(name, rows) for name in self._names if grouped or name not in self._optional}

    def standard_errors(self) -> dict[str, float]:
        """Standard errors, where they are known: of `log_loss`, and of `roc_auc` when no weights are given."""
        errors = {"log_loss": self._sums.log_loss_stderr} if "log_loss" in self._names else {}
        rows = self._rows()
        if "roc_auc" in self._names and rows.weight is None:
            errors["roc_auc"] = roc_auc_stderr(rows.logit, rows.label)
        return errors

    def reliability_bins(self, num_bins: int = NUM_BINS) -> list[ReliabilityBin]:
        """Bins of about equal weight, from low scores to high; empty when no metric needed the rows kept."""
        rows = self._rows()
        return reliability_bins(rows.logit, rows.label, rows.weight, num_bins)

    def _value(self, name: str, rows: _Rows) -> float:
        if name in SUMMED:
            return float(getattr(self._sums, name))
        if name == "gauc" and rows.group is not None and self._missing_group is not None:
            rows = rows.where(rows.group != self._missing_group)
        return float(metrics.get(name)(*rows))

    def _rows(self) -> _Rows:
        """The kept rows as one array each. They stay joined, so that rows are not held twice for long."""
        if len(self._logit) > 1:
            sizes = [len(part) for part in self._logit]
            self._logit = [np.concatenate(self._logit)]
            self._label = [np.concatenate(self._label)]
            self._weight = [_join_weights(self._weight, sizes)]
            self._group = [np.concatenate(self._group)] if self._group else []
        if not self._logit:
            return _Rows(np.empty(0, np.float32), np.empty(0, bool), None, None)
        return _Rows(self._logit[0], self._label[0], self._weight[0], self._group[0] if self._group else None)


def _join_weights(parts: Sequence[np.ndarray | None], sizes: Sequence[int]) -> np.ndarray | None:
    if all(part is None for part in parts):
        return None
    return np.concatenate([np.ones(n, np.float32) if w is None else w for w, n in zip(parts, sizes, strict=True)])
