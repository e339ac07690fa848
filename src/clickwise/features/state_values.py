"""Reading the values of a stored `State`, which come from a file and are not to be trusted."""

from __future__ import annotations

import math

import numpy as np

from clickwise.errors import BundleError, clipped
from clickwise.features.transform import State


def read_whole(state: State, key: str, low: int, high: int) -> int:
    """The whole number stored as `key`, between `low` and `high`, both included.

    Raises:
        BundleError: it is not there, not a whole number, or out of range.
    """
    value = state.values.get(key)
    if type(value) is not int or not low <= value <= high:
        raise BundleError(f"{key} is {clipped(value)}, not a whole number from {low} to {high}")
    return value


def read_number(state: State, key: str) -> float:
    """The finite number stored as `key`.

    Raises:
        BundleError: it is not there or not a finite number.
    """
    return float(_finite(state.values.get(key), key))


def read_rising(state: State, key: str) -> np.ndarray:
    """The finite numbers stored as `key`, float64, none smaller than the one before.

    Raises:
        BundleError: it is not a list of such numbers.
    """
    values = state.values.get(key)
    if not isinstance(values, list):
        raise BundleError(f"{key} is {clipped(values)}, not a list of numbers")
    numbers = np.array([_finite(value, key) for value in values], np.float64)
    if (np.diff(numbers) < 0).any():
        raise BundleError(f"{key} is not in rising order")
    return numbers


def _finite(value: object, key: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise BundleError(f"{key} holds {clipped(value)}, not a finite number")
    return float(value)  # type: ignore[arg-type]
