"""Properties of the metrics over generated rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickwise.metrics import (
    LogisticSums,
    calibration,
    gauc,
    log_loss,
    logit_of,
    normalized_entropy,
    probability,
    reliability_bins,
    roc_auc,
)


@st.composite
def scored(draw):
    """Scores out of a few values, so that ties are common, and labels of both classes."""
    row = st.tuples(st.integers(-6, 6), st.booleans())
    rows = draw(st.lists(row, min_size=2, max_size=40).filter(lambda r: len({y for _, y in r}) == 2))
    return np.array([z for z, _ in rows], np.float64), np.array([y for _, y in rows])


@given(scored())
def test_auc_sees_only_the_order(rows):
    logit, label = rows
    assert roc_auc(np.exp(0.7 * logit) - 3.0, label) == roc_auc(logit, label)


@given(scored())
def test_auc_of_the_opposite_score_is_the_complement(rows):
    logit, label = rows
    assert roc_auc(-logit, label) == pytest.approx(1.0 - roc_auc(logit, label), abs=1e-12)
    assert roc_auc(logit, ~label) == pytest.approx(1.0 - roc_auc(logit, label), abs=1e-12)


@given(scored())
def test_gauc_of_one_group_is_auc(rows):
    logit, label = rows
    assert gauc(logit, label, None, np.full(len(label), 9)) == pytest.approx(roc_auc(logit, label), abs=1e-12)


@given(scored(), st.data())
def test_gauc_does_not_see_what_a_group_adds_to_its_scores(rows, data):
    logit, label = rows
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(label), max_size=len(label))))
    shift = np.array([5.0, -7.0, 0.0, 100.0])[group]
    expected = gauc(logit, label, None, group)
    assert gauc(logit + shift, label, None, group) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(scored(), st.integers(0, 40))
def test_sums_of_parts_are_the_sums_of_the_whole(rows, cut):
    logit, label = rows
    weight = 1.0 + np.arange(len(label)) % 3
    whole = LogisticSums.of(logit, label, weight)
    parts = LogisticSums.of(logit[:cut], label[:cut], weight[:cut]) + LogisticSums.of(
        logit[cut:], label[cut:], weight[cut:]
    )
    for name in ("rows", "positives", "log_loss", "normalized_entropy", "calibration", "log_loss_stderr"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9)


@given(scored())
def test_the_click_rate_is_the_best_constant(rows):
    _, label = rows
    best = np.full(len(label), math.log(label.mean() / (1.0 - label.mean())))
    assert normalized_entropy(best, label) == pytest.approx(1.0, abs=1e-9)
    assert calibration(best, label) == pytest.approx(1.0, abs=1e-9)
    for step in (-0.1, 0.1):
        assert log_loss(best + step, label) > log_loss(best, label)


@given(scored(), st.integers(1, 12))
def test_bins_partition_the_rows(rows, num_bins):
    logit, label = rows
    bins = reliability_bins(logit, label, None, num_bins)
    assert len(bins) <= num_bins
    assert sum(b.weight for b in bins) == len(label)
    assert sum(b.weight * b.mean_label for b in bins) == pytest.approx(label.sum())
    assert sum(b.weight * b.mean_prob for b in bins) == pytest.approx(probability(logit).sum())
    assert [b.mean_prob for b in bins] == sorted(b.mean_prob for b in bins)


@given(st.lists(st.integers(0, 10_000), min_size=20, max_size=200, unique=True), st.integers(1, 10))
def test_bins_without_ties_are_of_equal_mass(values, num_bins):
    bins = reliability_bins(np.array(values, np.float64) / 5_000.0, np.zeros(len(values)), None, num_bins)
    assert all(abs(b.weight - len(values) / num_bins) <= 1.0 for b in bins)


@given(st.floats(-700.0, 15.0))
def test_logit_inverts_probability(logit):
    assert logit_of(probability(np.array([logit])))[0] == pytest.approx(logit, rel=1e-6, abs=1e-9)
