"""A check that several configs share."""

from __future__ import annotations

import math

from clickwise.config import require

LARGEST = 3.0e38
"""Numbers up to here stay finite as float32."""


def check_finite(key: str, number: float) -> None:
    """Raise a `ConfigError` unless `number` is finite as float32."""
    require(math.isfinite(number) and abs(number) <= LARGEST, key, number, "a finite number")
