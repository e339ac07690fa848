from __future__ import annotations

import numpy as np
import pytest

from clickwise.errors import BundleError
from clickwise.features.moments import FARTHEST, Moments, Scale
from clickwise.features.transform import State


def _scale(values: np.ndarray, pieces: int) -> Scale:
    moments = Moments()
    for chunk in np.array_split(values, pieces):
        moments.add(chunk)
    return moments.scale()


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
@pytest.mark.parametrize("pieces", [1, 7, 3000])
def test_mean_and_std_whatever_the_chunks(offset: float, pieces: int) -> None:
    values = np.random.default_rng(0).lognormal(size=3000) + offset
    scale = _scale(np.insert(values, 5, np.nan), pieces)
    assert scale.mean == pytest.approx(values.mean(), rel=1e-12)
    assert scale.std == pytest.approx((values - offset).std(), rel=1e-6)
    assert scale.std == pytest.approx(_scale(values, 1).std, rel=1e-9)


def test_a_constant_column_becomes_zero() -> None:
    scale = _scale(np.full(1000, 0.1), 7)
    assert scale == Scale(0.1, 0.0)
    assert scale.apply(np.array([0.1, 5.0, np.nan]), -2.0).tolist() == [0, 0, -2]


def test_no_numbers_at_all() -> None:
    assert _scale(np.array([np.nan]), 1) == Scale(0.0, 0.0)


def test_extremes_stay_finite() -> None:
    scale = _scale(np.array([-1e308, 0.0, 1e308]), 1)
    assert np.isfinite([scale.mean, scale.std]).all()
    assert Scale(0.0, 1e-3).apply(np.array([1e300, -1e300]), 0.0).tolist() == [FARTHEST, -FARTHEST]


@pytest.mark.parametrize(
    "values", [{}, {"mean": 0.0}, {"mean": 0.0, "std": -1.0}, {"mean": "0", "std": 1}, {"mean": True, "std": 1.0}]
)
def test_a_state_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    assert Scale.of(Scale(1.0, 2.0).state()) == Scale(1.0, 2.0)
    with pytest.raises(BundleError):
        Scale.of(State(values))
