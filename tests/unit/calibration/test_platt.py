"""Platt scaling: finds the numbers that rows were drawn with, and stays finite where the likelihood does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from clickwise.calibration import Platt
from clickwise.errors import ConfigError
from clickwise.metrics import log_loss, probability


def drawn(slope: float, intercept: float, rows: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    logit = rng.normal(-1.0, 2.0, rows)
    return logit, (rng.random(rows) < probability(slope * logit + intercept)).astype(np.int8)


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, 0.3), (1.0, 0.0), (2.5, -1.5), (0.05, -4.0)])
def test_finds_what_the_labels_were_drawn_with(slope: float, intercept: float) -> None:
    fit = Platt.fit(*drawn(slope, intercept))
    assert fit is not None
    assert fit.slope == pytest.approx(slope, abs=0.05)
    assert fit.intercept == pytest.approx(intercept, abs=0.05)


def test_weighs_rows_and_takes_platts_targets() -> None:
    logit, label = drawn(0.6, 0.4, 300)
    weight = np.random.default_rng(5).uniform(0.0, 3.0, 300)
    clicks, others = weight[label > 0].sum(), weight[label == 0].sum()
    target = np.where(label > 0, (clicks + 1) / (clicks + 2), 1 / (others + 2))

    def loss(at: np.ndarray) -> float:
        z = at[0] * logit + at[1]
        return float(sum(w * (np.log1p(np.exp(v)) - t * v) for w, v, t in zip(weight, z, target, strict=True)))

    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).x
    fit = Platt.fit(logit, label, weight)
    assert fit is not None
    np.testing.assert_allclose([fit.slope, fit.intercept], best, atol=1e-4)
    assert Platt.fit(logit, label) != fit


def test_an_overconfident_model_gets_a_lower_log_loss() -> None:
    logit, label = drawn(0.4, 0.0)
    fit = Platt.fit(logit[:1000], label[:1000])
    assert fit is not None
    assert log_loss(fit(logit[1000:]), label[1000:]) < 0.9 * log_loss(logit[1000:], label[1000:])


def test_rows_that_a_threshold_tells_apart_give_finite_numbers() -> None:
    fit = Platt.fit(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))
    assert fit is not None
    assert 0.0 < fit.slope < 10.0
    np.testing.assert_allclose(probability(fit(np.array([3.0])))[0], 0.9, atol=0.1)


def test_logits_far_from_the_labels_are_fitted_too() -> None:
    logit, label = drawn(1.0, 0.0)
    fit = Platt.fit(30.0 * logit + 90.0, label)
    assert fit is not None
    assert fit.slope == pytest.approx(1 / 30, abs=0.002)
    assert fit.intercept == pytest.approx(-3.0, abs=0.1)


@pytest.mark.parametrize("logit", [np.array([2.0, 1.0, -1.0, -2.0]), np.zeros(4)], ids=["reversed", "all the same"])
def test_a_model_that_knows_nothing_is_not_calibrated(logit: np.ndarray) -> None:
    fit = Platt.fit(logit, np.array([0, 0, 1, 1]))
    assert fit is None or fit.slope == 1.0


@pytest.mark.parametrize("numbers", [{"slope": 0.0}, {"slope": np.inf}, {"slope": -1.0}, {"intercept": np.nan}])
def test_numbers_that_are_no_calibrator_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(numbers))):
        Platt(**numbers)
