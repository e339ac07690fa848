from __future__ import annotations

import math

import pytest

from clickwise.errors import BundleError
from clickwise.features.state_values import read_number, read_rising, read_whole
from clickwise.features.transform import State


def test_good_values_are_read() -> None:
    state = State({"n": 3, "x": 1, "cuts": [1, 1.5, 1.5]})
    assert read_whole(state, "n", 3, 3) == 3
    assert read_number(state, "x") == 1.0
    assert read_rising(state, "cuts").tolist() == [1.0, 1.5, 1.5]


@pytest.mark.parametrize("value", [None, True, 2, 9, 3.0, "3"])
def test_other_whole_numbers_are_refused(value: object) -> None:
    with pytest.raises(BundleError, match="n is"):
        read_whole(State({"n": value}), "n", 3, 8)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "1", [1.0], True])
def test_other_numbers_are_refused(value: object) -> None:
    with pytest.raises(BundleError, match="x holds"):
        read_number(State({"x": value}), "x")


@pytest.mark.parametrize("value", [None, 1.0, "12", [2.0, 1.0], [1.0, math.nan], ["1"]])
def test_other_lists_are_refused(value: object) -> None:
    with pytest.raises(BundleError, match="cuts"):
        read_rising(State({"cuts": value}), "cuts")
