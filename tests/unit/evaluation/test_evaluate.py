from __future__ import annotations

import math

import numpy as np
import pytest

from clickwise.errors import ClickwiseWarning, ConfigError, DataError
from clickwise.evaluation import ScoredBlock, evaluate_blocks
from clickwise.metrics import StreamingMetrics, gauc, logit_of, probability, reliability_bins, roc_auc
from clickwise.progress import Progress


@pytest.fixture
def rows():
    """The true log-odds, a noisy score, the labels and groups of 1,000 rows."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-2.0, 1.0, 1_000)
    score = truth + rng.normal(0.0, 1.0, 1_000)
    return truth, score, rng.random(1_000) < probability(truth), rng.integers(0, 50, 1_000)


def blocks(rows, size=300, **optional):
    _, score, label, _ = rows
    for start in range(0, len(label), size):
        part = slice(start, start + size)
        yield ScoredBlock(score[part], label[part], **{name: column[part] for name, column in optional.items()})


def test_a_report_of_blocks_is_that_of_the_whole(rows):
    _, score, label, group = rows
    report = evaluate_blocks(blocks(rows, group=group), source="tomorrow.parquet")
    whole = StreamingMetrics(missing_group=0)
    whole.update(score, label, None, group)
    assert dict(report.metrics) == pytest.approx(whole.compute(), rel=1e-10)
    assert (report.rows, report.positives, report.source) == (1_000, label.sum(), "tomorrow.parquet")
    assert report.positive_rate == pytest.approx(label.mean())
    assert dict(report.stderr) == pytest.approx(whole.standard_errors(), rel=1e-9)
    assert report.reliability == tuple(reliability_bins(score.astype(np.float32), label))
    assert report.best_possible is None


def test_the_truth_gives_the_best_possible(rows):
    truth, _, label, _ = rows
    report = evaluate_blocks(blocks(rows, truth=probability(truth)))
    assert report.best_possible is not None
    assert report.best_possible["roc_auc"] == pytest.approx(roc_auc(truth, label), abs=1e-6)
    assert report.best_possible["log_loss"] < report.metrics["log_loss"]
    assert set(report.best_possible) == set(report.metrics)


def test_the_truth_may_be_certain(rows):
    certain = rows[2].astype(np.float64)
    report = evaluate_blocks(blocks(rows, truth=certain))
    assert report.best_possible is not None
    assert report.best_possible["log_loss"] == 0.0
    assert np.isinf(logit_of(certain)).all()


def test_rows_of_no_group_are_left_out_of_gauc(rows):
    _, score, label, group = rows
    known = group != 0
    expected = gauc(score[known].astype(np.float32), label[known], None, group[known])
    assert evaluate_blocks(blocks(rows, group=group)).metrics["gauc"] == expected


def test_weights_count(rows):
    weight = np.where(rows[2], 2.0, 1.0)
    report = evaluate_blocks(blocks(rows, weight=weight))
    assert report.metrics["calibration"] == pytest.approx(evaluate_blocks(blocks(rows)).metrics["calibration"], rel=0.5)
    assert report.metrics["calibration"] != evaluate_blocks(blocks(rows)).metrics["calibration"]
    assert report.positives == rows[2].sum()  # rows are counted, not weighed


def test_only_the_metrics_asked_for(rows):
    report = evaluate_blocks(blocks(rows), metrics=["log_loss"])
    assert set(report.metrics) == set(report.stderr) == {"log_loss"}
    with pytest.raises(ConfigError, match="unknown metric"):
        evaluate_blocks(blocks(rows), metrics=["loss"])


@pytest.mark.parametrize("label", [0, 1])
def test_rows_of_one_class_are_refused(label):
    block = ScoredBlock(np.zeros(5), np.full(5, label))
    with pytest.raises(DataError, match=f"x.csv: all 5 labels are {label}, .*check the label column"):
        evaluate_blocks([block], source="x.csv")


def test_rows_of_one_class_are_measured_when_not_strict():
    block = ScoredBlock(np.zeros(5), np.zeros(5))
    with pytest.warns(ClickwiseWarning, match="all 5 labels are 0"):
        report = evaluate_blocks([block], strict=False)
    assert math.isnan(report.metrics["roc_auc"])
    assert report.metrics["log_loss"] == pytest.approx(math.log(2))


@pytest.mark.parametrize("strict", [True, False])
def test_no_rows_are_refused(strict):
    with pytest.raises(DataError, match=r"x\.csv: has no rows"):
        evaluate_blocks([], source="x.csv", strict=strict)


def test_progress_is_told(rows):
    class Told(Progress):
        def __init__(self):
            self.calls = []

        def start(self, stage, total_rows=None):
            self.calls.append((stage, total_rows))

        def advance(self, rows, **figures):
            self.calls.append(rows)

        def finish(self):
            self.calls.append("finish")

    told = Told()
    evaluate_blocks(blocks(rows), total_rows=1_000, progress=told)
    assert told.calls == [("evaluate", 1_000), 300, 300, 300, 100, "finish"]
