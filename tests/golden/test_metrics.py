"""Metrics against scikit-learn, against plain loops, and against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from clickwise.metrics import (
    calibration,
    ece,
    gauc,
    log_loss,
    log_loss_stderr,
    normalized_entropy,
    probability,
    reliability_bins,
    roc_auc,
    roc_auc_stderr,
)


@pytest.fixture(params=[0, 1, 2])
def rows(request):
    """logit [n] with many ties, label [n], weight [n] some of them zero, group [n] of very different sizes."""
    rng = np.random.default_rng(request.param)
    n = 1_000
    logit = np.round(rng.normal(-1.5, 1.5, n), 1)
    label = (rng.random(n) < probability(logit)).astype(np.float32)
    weight = np.where(rng.random(n) < 0.1, 0.0, rng.gamma(2.0, 1.0, n))
    group = rng.zipf(1.5, n) % 97
    return logit, label, weight, group


def pairwise_auc(logit, label, weight):
    won = total = 0.0
    for z1, w1 in zip(logit[label == 1], weight[label == 1], strict=True):
        for z0, w0 in zip(logit[label == 0], weight[label == 0], strict=True):
            won += w1 * w0 * (1.0 if z1 > z0 else 0.5 if z1 == z0 else 0.0)
            total += w1 * w0
    return won / total if total else math.nan


def test_roc_auc_is_that_of_scikit_learn(rows):
    logit, label, weight, _ = rows
    assert roc_auc(logit, label) == pytest.approx(reference.roc_auc_score(label, logit), abs=1e-12)
    expected = reference.roc_auc_score(label, logit, sample_weight=weight)
    assert roc_auc(logit, label, weight) == pytest.approx(expected, abs=1e-12)


def test_roc_auc_is_the_share_of_pairs_in_order(rows):
    logit, label, weight, _ = (column[:200] for column in rows)
    assert roc_auc(logit, label) == pytest.approx(pairwise_auc(logit, label, np.ones(200)), abs=1e-12)
    assert roc_auc(logit, label, weight) == pytest.approx(pairwise_auc(logit, label, weight), abs=1e-12)


def test_log_loss_is_that_of_scikit_learn(rows):
    logit, label, weight, _ = rows
    prob = 1.0 / (1.0 + np.exp(-logit))
    assert log_loss(logit, label) == pytest.approx(reference.log_loss(label, prob), rel=1e-12)
    expected = reference.log_loss(label, prob, sample_weight=weight)
    assert log_loss(logit, label, weight) == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_confident_scores_is_not_clipped():
    assert log_loss(np.array([-800.0]), np.array([1])) == 800.0
    assert log_loss(np.array([-40.0]), np.array([0])) == pytest.approx(math.exp(-40.0), rel=1e-12)


def test_normalized_entropy_by_hand():
    # rate 1/4: entropy -(1/4 ln 1/4 + 3/4 ln 3/4); always saying the rate gives exactly 1
    label = np.array([1, 0, 0, 0])
    rate = np.full(4, math.log(1 / 3))
    assert normalized_entropy(rate, label) == pytest.approx(1.0, abs=1e-12)
    entropy = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    assert normalized_entropy(np.zeros(4), label) == pytest.approx(math.log(2) / entropy, rel=1e-12)


def test_normalized_entropy_uses_the_weighted_rate():
    # one click of weight 3 and one non-click of weight 1: rate 3/4
    label, weight = np.array([1, 0]), np.array([3.0, 1.0])
    assert normalized_entropy(np.full(2, math.log(3)), label, weight) == pytest.approx(1.0, abs=1e-12)


def test_calibration_by_hand():
    logit, label = np.log(np.array([0.2, 0.6]) / np.array([0.8, 0.4])), np.array([0, 1])
    assert calibration(logit, label) == pytest.approx(0.8)
    assert calibration(logit, label, np.array([3.0, 1.0])) == pytest.approx((3 * 0.2 + 0.6) / 1.0)


def test_gauc_is_the_weighted_mean_over_groups(rows):
    logit, label, weight, group = rows
    for w in (None, weight):
        mass = np.ones(len(label)) if w is None else w
        total = size = 0.0
        for g in np.unique(group):
            here = group == g
            auc = pairwise_auc(logit[here], label[here], mass[here])
            if not math.isnan(auc):
                total += mass[here].sum() * auc
                size += mass[here].sum()
        assert gauc(logit, label, w, group) == pytest.approx(total / size, abs=1e-12)


def test_gauc_takes_text_groups(rows):
    logit, label, weight, group = rows
    expected = gauc(logit, label, weight, group)
    assert gauc(logit, label, weight, group.astype(str)) == pytest.approx(expected, rel=1e-12)


def test_ece_by_hand():
    # two bins of two rows: probabilities (.1, .2 | .6, .8), labels (0, 1 | 1, 1)
    prob, label = np.array([0.1, 0.6, 0.2, 0.8]), np.array([0, 1, 1, 1])
    logit = np.log(prob / (1 - prob))
    assert ece(logit, label, num_bins=2) == pytest.approx((abs(0.15 - 0.5) + abs(0.7 - 1.0)) / 2)
    assert reliability_bins(logit, label, num_bins=2) == [
        pytest.approx((0.15, 0.5, 2.0)),
        pytest.approx((0.7, 1.0, 2.0)),
    ]


def test_ece_weighs_rows_and_bins():
    # weights 1, 3: of a mass of 4, the first row fills [0, 1), the second [1, 4): both in a bin of their own
    logit, label = np.array([0.0, math.log(3)]), np.array([0, 1])
    assert ece(logit, label, np.array([1.0, 3.0]), num_bins=2) == pytest.approx((1 * 0.5 + 3 * 0.25) / 4)


def test_delong_against_its_definition(rows):
    logit, label, _, _ = (column[:300] for column in rows)
    above, below = logit[label == 1], logit[label == 0]
    order = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    variance = order.mean(1).var(ddof=1) / len(above) + order.mean(0).var(ddof=1) / len(below)
    assert roc_auc_stderr(logit, label) == pytest.approx(math.sqrt(variance), rel=1e-12)


def test_standard_errors_are_the_spread_over_fresh_samples():
    rng = np.random.default_rng(0)
    logit = rng.normal(-1.0, 1.0, (400, 500))
    label = rng.random((400, 500)) < probability(logit)
    for metric, stderr in ((roc_auc, roc_auc_stderr), (log_loss, log_loss_stderr)):
        spread = np.std([metric(z, y) for z, y in zip(logit, label, strict=True)], ddof=1)
        mean_stderr = np.mean([stderr(z, y) for z, y in zip(logit, label, strict=True)])
        assert mean_stderr == pytest.approx(spread, rel=0.12)  # 400 samples know a spread to about 4 %


def test_log_loss_stderr_with_weights_by_hand():
    # losses a = ln(1 + e), b = ln(1 + 1/e) with weights 1 and 2
    a, b = math.log1p(math.e), math.log1p(1 / math.e)
    mean = (a + 2 * b) / 3
    expected = math.sqrt(2 / 1 * ((a - mean) ** 2 + 4 * (b - mean) ** 2)) / 3
    assert log_loss_stderr(np.ones(2), np.array([0, 1]), np.array([1.0, 2.0])) == pytest.approx(expected, rel=1e-9)
