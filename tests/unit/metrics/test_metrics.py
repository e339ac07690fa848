from __future__ import annotations

import math
import time

import numpy as np
import pytest

from clickwise.errors import ConfigError
from clickwise.metrics import gauc, log_loss, logit_of, probability, reliability_bins, roc_auc, roc_auc_stderr


def test_probability_does_not_overflow():
    np.testing.assert_allclose(probability(np.array([-1000.0, 0.0, 1000.0])), [0.0, 0.5, 1.0], atol=1e-300)


def test_logit_of_certainty_is_infinite():
    assert logit_of(np.array([0.0, 0.5, 1.0])).tolist() == [-math.inf, 0.0, math.inf]


def test_infinite_scores_cost_nothing_when_right_and_everything_when_wrong():
    assert log_loss(np.array([math.inf, -math.inf]), np.array([1, 0])) == 0.0
    assert log_loss(np.array([math.inf]), np.array([0])) == math.inf


def test_a_row_of_weight_zero_does_not_count_however_wrong():
    assert log_loss(np.array([math.inf, 0.0]), np.array([0, 1]), np.array([0.0, 1.0])) == math.log(2)


def test_a_standard_error_needs_two_rows_of_each_class():
    assert math.isnan(roc_auc_stderr(np.arange(3.0), np.array([0, 0, 1])))


def test_gauc_without_groups_says_what_to_do():
    with pytest.raises(ConfigError, match="name a group column"):
        gauc(np.zeros(2), np.array([0, 1]))


def test_a_constant_score_is_one_bin():
    assert reliability_bins(np.zeros(10), np.arange(10) < 3) == [pytest.approx((0.5, 0.3, 10.0))]


def test_the_bins_of_few_rows_are_the_rows():
    assert len(reliability_bins(np.arange(3.0), np.zeros(3), None, 20)) == 3


def test_auc_of_two_million_scores_is_quick():
    rng = np.random.default_rng(0)
    logit = rng.normal(size=2_000_000).astype(np.float32)
    label = rng.random(2_000_000) < 0.04
    began = time.perf_counter()
    assert roc_auc(logit, label) == pytest.approx(0.5, abs=0.01)
    assert time.perf_counter() - began < 2.0
