from __future__ import annotations

import math

import numpy as np
import pytest

from clickwise.errors import ConfigError
from clickwise.metrics import StreamingMetrics, gauc, log_loss_stderr, reliability_bins, roc_auc, roc_auc_stderr
from clickwise.registry import Registry


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    logit = rng.normal(-1.0, 1.0, 500).astype(np.float32)
    return logit, rng.random(500) < 1.0 / (1.0 + np.exp(-logit)), rng.integers(0, 20, 500)


def test_gauc_is_there_only_with_groups(rows):
    logit, label, group = rows
    without, with_groups = StreamingMetrics(), StreamingMetrics()
    without.update(logit, label)
    with_groups.update(logit, label, None, group)
    assert set(with_groups.compute()) == {*without.compute(), "gauc"}


def test_gauc_asked_for_without_groups_is_an_error(rows):
    stream = StreamingMetrics(["gauc"])
    stream.update(*rows[:2])
    with pytest.raises(ConfigError, match="needs a group"):
        stream.compute()


def test_rows_without_a_known_group_count_everywhere_but_in_gauc(rows):
    logit, label, group = rows
    stream = StreamingMetrics(missing_group=0)
    stream.update(logit, label, None, group)
    known = group != 0
    assert stream.compute()["gauc"] == gauc(logit[known], label[known], None, group[known])
    assert stream.compute()["gauc"] != gauc(logit, label, None, group)
    assert stream.compute()["roc_auc"] == roc_auc(logit, label)


def test_gauc_is_not_there_when_no_group_is_known(rows):
    logit, label, group = rows
    stream = StreamingMetrics(missing_group=0)
    stream.update(logit, label, None, np.zeros_like(group))
    assert "gauc" not in stream.compute()


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'roc_auc'"):
        StreamingMetrics(["rocauc"])


def test_ratios_of_sums_keep_no_rows(rows):
    stream = StreamingMetrics(["log_loss", "calibration", "normalized_entropy"])
    stream.update(*rows[:2])
    assert not stream._parts
    assert list(stream.compute()) == ["log_loss", "calibration", "normalized_entropy"]


def test_kept_rows_take_five_bytes_each(rows):
    logit, label, _ = rows
    stream = StreamingMetrics()
    stream.update(logit.astype(np.float64), label.astype(np.float64), np.ones(500))
    kept = [*stream._group, *(column for part in stream._parts for column in part if column is not None)]
    assert sum(column.nbytes for column in kept) == 5 * 500


def test_the_caller_may_reuse_its_buffers(rows):
    logit, label, group = (column.copy() for column in rows)
    stream, weight = StreamingMetrics(), np.full(500, 2.0, np.float32)
    stream.update(logit, label, weight, group)
    before = stream.compute()
    for column in (logit, label, weight, group):
        column[:] = 0
    assert stream.compute() == before


def test_weights_may_begin_in_a_later_chunk(rows):
    logit, label, _ = rows
    weight = np.where(np.arange(500) < 200, 1.0, 3.0)
    stream = StreamingMetrics()
    stream.update(logit[:200], label[:200])
    stream.update(logit[200:], label[200:], weight[200:])
    assert stream.compute()["roc_auc"] == pytest.approx(roc_auc(logit, label, weight), rel=1e-12)
    np.testing.assert_allclose(stream.reliability_bins(), reliability_bins(logit, label, weight), rtol=1e-12)


def test_rows_can_be_added_after_a_result(rows):
    logit, label, _ = rows
    stream = StreamingMetrics()
    for part in np.array_split(np.arange(500), 4):
        stream.update(logit[part], label[part])
        stream.compute()
    assert stream.compute()["roc_auc"] == roc_auc(logit, label)


def test_standard_errors(rows):
    logit, label, _ = rows
    stream, weighted = StreamingMetrics(), StreamingMetrics()
    stream.update(logit, label)
    weighted.update(logit, label, np.full(500, 2.0))
    errors = stream.standard_errors()
    assert errors["roc_auc"] == roc_auc_stderr(logit, label)
    assert errors["log_loss"] == pytest.approx(log_loss_stderr(logit, label))
    assert set(weighted.standard_errors()) == {"log_loss"}  # DeLong's is known for unweighted rows only
    assert weighted.standard_errors()["log_loss"] == pytest.approx(errors["log_loss"])


def test_nothing_taken_in_gives_nan():
    values = StreamingMetrics().compute()
    assert values and all(math.isnan(value) for value in values.values())


def test_a_users_metric_is_computed_over_all_rows(rows, monkeypatch):
    own: Registry = Registry("metric")
    own.register("accuracy")(lambda logit, label, weight=None, group=None: np.mean((logit > 0) == label))
    monkeypatch.setattr("clickwise.metrics.stream.metrics", own)
    stream = StreamingMetrics(["accuracy"])
    for part in np.array_split(np.arange(500), 3):
        stream.update(rows[0][part], rows[1][part])
    assert stream.compute() == {"accuracy": np.mean((rows[0] > 0) == rows[1])}
