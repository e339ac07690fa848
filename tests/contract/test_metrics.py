"""What every registered metric keeps to."""

from __future__ import annotations

import math

import numpy as np
import pytest

import clickwise.metrics
from clickwise.metrics import StreamingMetrics, probability
from clickwise.registry import metrics

assert clickwise.metrics  # its import fills the registry

EVERY = pytest.mark.parametrize("name", list(metrics))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    logit = np.round(rng.normal(-1.0, 1.0, 600), 2).astype(np.float32)
    label = (rng.random(600) < probability(logit)).astype(np.float32)
    weight = rng.integers(0, 4, 600).astype(np.float32)
    return logit, label, weight, rng.integers(1, 40, 600).astype(np.uint64)


@EVERY
def test_is_a_finite_python_float(name, rows):
    value = metrics.get(name)(*rows)
    assert type(value) is float and math.isfinite(value)


@EVERY
def test_does_not_depend_on_the_order_of_rows(name, rows):
    shuffle = np.random.default_rng(0).permutation(600)
    shuffled = metrics.get(name)(*(column[shuffle] for column in rows))
    assert shuffled == pytest.approx(metrics.get(name)(*rows), rel=1e-10)


@EVERY
def test_a_weight_is_that_many_rows(name, rows):
    logit, label, weight, group = rows
    times = weight.astype(int)
    repeated = (np.repeat(logit, times), np.repeat(label, times), None, np.repeat(group, times))
    assert metrics.get(name)(*repeated) == pytest.approx(metrics.get(name)(*rows), rel=1e-10)


@EVERY
def test_no_weights_are_weights_of_one(name, rows):
    logit, label, _, group = rows
    ones = metrics.get(name)(logit, label, np.ones(600), group)
    assert metrics.get(name)(logit, label, None, group) == pytest.approx(ones, rel=1e-12)


@EVERY
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_a_number_and_never_an_exception(name, label, rows):
    logit, _, weight, group = rows
    value = metrics.get(name)(logit, np.full(600, label), weight, group)
    defined = name in ("log_loss", "ece") or (name == "calibration" and label == 1)
    assert math.isfinite(value) == defined


@EVERY
def test_no_rows_give_nan(name):
    nothing = np.empty(0, np.float32)
    assert math.isnan(metrics.get(name)(nothing, nothing, None, np.empty(0, np.int64)))


@EVERY
def test_a_score_of_nan_gives_nan(name, rows):
    logit, label, _, group = rows
    broken = np.where(np.arange(600) == 1, np.nan, logit)
    assert math.isnan(metrics.get(name)(broken, label, np.ones(600), group))


@EVERY
def test_inputs_stay_as_they_are(name, rows):
    before = [column.copy() for column in rows]
    metrics.get(name)(*rows)
    for column, copy in zip(rows, before, strict=True):
        np.testing.assert_array_equal(column, copy)


@EVERY
@pytest.mark.parametrize("chunk", [1, 77, 600])
def test_a_stream_gives_what_the_whole_gives(name, chunk, rows):
    stream = StreamingMetrics([name])
    for start in range(0, 600, chunk):
        stream.update(*(column[start : start + chunk] for column in rows))
    assert stream.compute() == {name: pytest.approx(metrics.get(name)(*rows), rel=1e-10)}
