"""Whole numbers: names of things, or amounts? The name of the column first, then how its values are spread."""

from __future__ import annotations

import numpy as np

from clickwise.features.inference.column_names import names_amount, names_identifier
from clickwise.features.inference.profile import Profile

FEW = 20
"""Up to this many different whole numbers each gets an embedding of its own, whatever they mean."""
_LARGEST = 2.0**53
_HUMP_MIN_ROWS = 1_000


def amount_reason(column: Profile) -> tuple[bool, str]:
    """Whether the whole numbers of a column are amounts, and why.

    A wrong guess costs more one way than the other: an amount taken for names still gets an id a value, names taken
    for amounts lose what they say. So numbers are names unless something speaks for an amount.
    """
    assert column.numbers is not None
    if names_identifier(column.name):
        return False, "whole numbers, an identifier by its name"
    if column.distinct <= FEW:
        return False, f"whole numbers, only {column.distinct} of them"
    values, counts = np.unique(column.numbers[column.index >= 0], return_counts=True)
    if abs(values[[0, -1]]).max() > _LARGEST:
        return False, "whole numbers too large to be amounts"
    if names_amount(column.name):
        return True, "an amount by its name"
    if values[0] < -1:  # a lone -1 is a common mark for "unknown"
        return True, "an amount: it goes below 0"
    if _long_tail(values, counts):
        return True, "an amount: many small values and a long tail"
    if _hump(column.numbers[column.index >= 0]):
        return True, "an amount: most rows around a middle, fewer towards the ends"
    return False, "whole numbers without the spread of an amount"


def _long_tail(values: np.ndarray, counts: np.ndarray) -> bool:
    """Counts of events: 0 or 1 is the smallest and most frequent, the largest is far away, with gaps between."""
    gaps = len(values) < 0.5 * (values[-1] - values[0] + 1)
    middle = np.repeat(values, counts)[int(counts.sum()) // 2]
    return bool(
        values[0] in (0, 1)
        and np.argmax(counts) == 0
        and gaps
        and len(values) <= 2_000
        and counts.sum() >= 3 * len(values)
        and values[-1] > 20 * max(middle, 1)
    )


def _hump(numbers: np.ndarray) -> bool:
    """Ages, prices, weights: a histogram of ten bins that rises to one peak inside and falls after it.

    Ids that were numbered in no order give a flat one, ids numbered by popularity or first sight one that only falls.
    """
    if len(numbers) < _HUMP_MIN_ROWS:
        return False
    low, high = np.quantile(numbers, [0.005, 0.995])
    height = np.histogram(numbers, bins=10, range=(low, max(high, low + 1)))[0].astype(np.float64)
    peak = int(np.argmax(height))
    wrong_way = np.concatenate([-np.diff(height[: peak + 1]), np.diff(height[peak:])])
    ends = (height[0] + height[-1]) / 2
    return 0 < peak < 9 and bool(height[peak] > 1.5 * ends and (wrong_way <= 0.1 * height[peak]).all())
