"""Metrics of a stream of scored rows, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clickwise.metrics.ece import NUM_BINS, ReliabilityBin, bins_of, ece_of
from clickwise.metrics.logistic import LogisticSums
from clickwise.metrics.ranking import Ranking, ScoredRows, joined, rank
from clickwise.registry import metrics

DEFAULT = ("roc_auc", "log_loss", "normalized_entropy", "calibration", "ece", "gauc")
"""What is measured unless told otherwise; `gauc` only where groups are known."""
SUMMED = ("log_loss", "normalized_entropy", "calibration")
"""Metrics that need only `LogisticSums`."""

RANKED = ("roc_auc", "ece")
"""Metrics that need only a `Ranking`."""


class StreamingMetrics:
    """Takes scored rows chunk by chunk and computes metrics at the end; the chunks' order and sizes do not matter.

    Metrics that are ratios of sums take no memory. The others (`roc_auc`, `gauc`, `ece`, a user's own) are exact, so
    the rows are kept: 5 bytes each (float32 score, bool label), 4 more when weights other than 1 are given, 8 more for
    groups when a metric needs them. 40 million unweighted rows take 200 MB, and 320 MB more for a moment while they are
    sorted (with the kernels; without them a few times that).

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
        self._keeps_group = any(name not in (*SUMMED, *RANKED) for name in self._names)
        self._sums = LogisticSums()
        self._parts: list[ScoredRows] = []
        self._group: list[np.ndarray] = []
        self._ranking: Ranking | None = None

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
        ones = weight is None or bool((np.asarray(weight) == 1).all())
        mass = None if ones else np.array(weight, np.float32)
        self._parts.append(ScoredRows(np.array(logit, np.float32), np.asarray(label) > 0, mass))
        if group is not None and self._keeps_group:
            self._group.append(np.array(group))
        self._ranking = None

    def compute(self) -> dict[str, float]:
        """Each metric's value over all rows taken in so far; nan where it is not defined."""
        grouped = any(not (group == self._missing_group).all() for group in self._group)
        return {name: self._value(name) for name in self._names if grouped or name not in self._optional}

    def standard_errors(self) -> dict[str, float]:
        """Standard errors, where they are known: of `log_loss`, and of `roc_auc` when no weights are given."""
        errors = {"log_loss": self._sums.log_loss_stderr} if "log_loss" in self._names else {}
        if "roc_auc" in self._names and all(part.weight is None for part in self._parts):
            errors["roc_auc"] = self._ranked().auc_stderr()
        return errors

    def reliability_bins(self, num_bins: int = NUM_BINS) -> list[ReliabilityBin]:
        """Bins of about equal weight, from low scores to high; empty when no metric needed the rows kept."""
        return bins_of(self._ranked(), num_bins)

    def _value(self, name: str) -> float:
        if name in SUMMED:
            return float(getattr(self._sums, name))
        if name == "roc_auc":
            return self._ranked().auc()
        if name == "ece":
            return ece_of(bins_of(self._ranked(), NUM_BINS))
        rows, group = self._joined()
        if name == "gauc" and group is not None and self._missing_group is not None:
            known = group != self._missing_group
            rows = ScoredRows(rows.logit[known], rows.label[known], None if rows.weight is None else rows.weight[known])
            group = group[known]
        return float(metrics.get(name)(*rows, group))

    def _ranked(self) -> Ranking:
        """The kept rows in order; sorted once until more come."""
        if self._ranking is None:
            self._ranking = rank(self._parts)
        return self._ranking

    def _joined(self) -> tuple[ScoredRows, np.ndarray | None]:
        """The kept rows and groups as one array each. They stay joined, so that rows are not held twice for long."""
        self._parts = [joined(self._parts)]
        self._group = [np.concatenate(self._group)] if self._group else []
        return self._parts[0], self._group[0] if self._group else None
