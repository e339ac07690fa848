"""Scored rows in order of score, compiled."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from clickwise.native import kernels

MAX_ROWS = 2**32 - 1
"""Rows that the kernels can order."""
_TASK_ROWS = 1 << 16


class CompiledRanking:
    """`clickwise.metrics.ranking.NumpyRanking` in 8 bytes a row, 16 with weights; half of that stays.

    Args:
        parts: `(logit [n] float32, label [n] bool, weight [n] float32 or None)`.
        rows: how many there are in all.
        clicks: how many of them are labelled 1.
        weighted: whether any part has weights; where one has none they count as 1.
    """

    def __init__(
        self,
        parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None]],
        rows: int,
        clicks: int,
        weighted: bool,
    ) -> None:
        native = kernels()
        items = np.empty(rows, np.uint64 if weighted else np.uint32)
        at, numbers = np.array([0, clicks]), True
        for logit, label, weight in parts:
            score, click = np.ascontiguousarray(logit), np.ascontiguousarray(label).view(np.uint8)
            if not weighted:
                numbers &= native.take_items(score, click, items, at)
                continue
            mass = np.ones(len(score), np.float32) if weight is None else np.ascontiguousarray(weight)
            numbers &= native.take_weighted_items(score, mass, click, items, at)
        self._clicks, self._numbers = clicks, numbers
        self._items = np.empty_like(items)
        for part in (slice(0, clicks), slice(clicks, rows)):
            unsorted, counts = items[part], native.sort_chunks(len(items[part]))
            room = np.empty((counts, native.sort_digits), np.uint32)
            native.sort_items(unsorted, self._items[part], room)
        tasks = rows // _TASK_ROWS + 1
        mass = np.empty((tasks, 2))
        native.item_mass(self._items, clicks, mass)
        up_to = np.cumsum(mass, axis=0)
        self._mass, self._before = up_to[-1], up_to - mass

    def auc(self) -> float:
        """Share of pairs that are in the right order; nan without both classes or with a score that is nan."""
        if not (self._numbers and (self._mass > 0.0).all()):
            return math.nan
        if self._items.dtype == np.uint32:
            twice_won, _, _ = self._delong()
            return twice_won / (2 * self._clicks * (len(self._items) - self._clicks))
        won = np.empty(len(self._before))
        kernels().item_pairs(self._items, self._clicks, self._before, won)
        return float(won.sum() / self._mass.prod())

    def auc_stderr(self) -> float:
        """DeLong's standard error of the unweighted AUC, from whole numbers; nan with fewer than two of a class."""
        m, n = self._clicks, len(self._items) - self._clicks
        if not self._numbers or m < 2 or n < 2:
            return math.nan
        assert self._items.dtype == np.uint32, "the standard error is that of unweighted rows"
        won, won2, lost2 = self._delong()
        lost = 2 * m * n - won
        v10 = (m * won2 - won * won) / (4 * n * n * m * (m - 1))
        v01 = (n * lost2 - lost * lost) / (4 * m * m * n * (n - 1))
        return math.sqrt(v10 / m + v01 / n)

    def bin_sums(self, num_bins: int) -> np.ndarray:
        """[num_bins, 3]: weight, weight * probability and weight of clicks; none when there is nothing to part."""
        total = float(self._mass.sum())
        if not self._numbers or not total > 0.0:
            return np.empty((0, 3))
        sums = np.empty((len(self._before), num_bins, 3))
        kernels().item_bins(self._items, self._clicks, self._before, total, sums)
        return sums.sum(axis=0)

    def _delong(self) -> tuple[int, int, int]:
        """sum (2 b + t) and sum (2 b + t)^2 over clicks, and the latter over others, exact."""
        sums = np.empty((len(self._before), 5), np.uint64)
        kernels().item_delong(self._items, self._clicks, sums)
        won, low, high, other_low, other_high = (sum(column) for column in sums.T.tolist())
        return won, low + (high << 64), other_low + (other_high << 64)
