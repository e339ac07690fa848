from __future__ import annotations

import json
import math

import pytest

from clickwise.evaluation import EvaluationReport, attained_share, compare
from clickwise.metrics import ReliabilityBin

REPORT = EvaluationReport(
    metrics={"roc_auc": 0.7, "log_loss": 0.2, "gauc": math.nan},
    rows=1_000,
    positives=40,
    source="tomorrow.parquet",
    stderr={"roc_auc": 0.01},
    reliability=(ReliabilityBin(0.02, 0.01, 500.0), ReliabilityBin(0.06, 0.08, 500.0)),
    best_possible={"roc_auc": 0.8, "log_loss": 0.15, "gauc": math.nan},
    quarantined=3,
    seconds=1.25,
)

TEXT = """\
tomorrow.parquet: 1,000 rows, 40 clicks (4.00%), 1.2 s
3 rows could not be read and are not counted

metric      value       95 %  best possible       gap
roc_auc   0.70000  ± 0.01960        0.80000  -0.10000
log_loss  0.20000                   0.15000  +0.05000
gauc            -                         -         -

bin  weight  predicted  observed  bar: observed, | predicted
1       500    2.0000%   1.0000%  ###   |
2       500    6.0000%   8.0000%  ##################|#####"""


def test_text_for_people():
    assert str(REPORT) == TEXT


def test_text_without_what_is_not_known():
    text = str(EvaluationReport(metrics={"ece": 0.5}, rows=2, positives=1))
    assert text == "2 rows, 1 clicks (50.00%), 0.0 s\n\nmetric    value\nece     0.50000"


def test_data_for_machines_is_strict_json():
    data = json.loads(json.dumps(REPORT.to_data(), allow_nan=False))
    assert data["metrics"] == {"roc_auc": 0.7, "log_loss": 0.2, "gauc": None}
    assert data["best_possible"]["gauc"] is None
    assert (data["rows"], data["positives"], data["positive_rate"], data["quarantined"]) == (1_000, 40, 0.04, 3)
    assert data["stderr"] == {"roc_auc": 0.01}
    assert data["reliability"][1] == {"mean_prob": 0.06, "mean_label": 0.08, "weight": 500.0}


def test_infinity_is_null_in_json():
    assert (
        EvaluationReport(metrics={"log_loss": math.inf}, rows=1, positives=1).to_data()["metrics"]["log_loss"] is None
    )


def report(entropy, best=0.8):
    return EvaluationReport(
        metrics={"roc_auc": 0.7, "normalized_entropy": entropy, "calibration": 1.0},
        rows=10,
        positives=1,
        stderr={"roc_auc": 0.002},
        best_possible=None if best is None else {"roc_auc": 0.79, "normalized_entropy": best, "calibration": 0.99},
    )


@pytest.mark.parametrize(("entropy", "share"), [(0.96, 0.0), (0.8, 1.0), (0.92, 0.25), (1.0, -0.25)])
def test_share_of_the_attainable_gain(entropy, share):
    assert attained_share(report(entropy), report(0.96)) == pytest.approx(share)


def test_share_where_there_is_none():
    assert attained_share(report(0.9, best=None), report(0.96)) is None
    assert math.isnan(attained_share(report(0.9), report(0.8)))


def test_comparison_of_models():
    text = compare({"fm": report(0.92), "lr": report(0.96)}, baseline="lr")
    assert text.splitlines() == [
        "model             AUC      95 %  normalized entropy  calibration  share of attainable gain",
        "fm             0.7000  ± 0.0039              0.9200        1.000                       25%",
        "lr             0.7000  ± 0.0039              0.9600        1.000                        0%",
        "best possible  0.7900                        0.8000        0.990                      100%",
    ]


def test_comparison_on_real_data_says_nothing_of_the_best():
    text = compare({"lr": report(0.96, best=None), "fm": report(0.92, best=None)})
    assert "best" not in text and "share" not in text
    assert "fm     0.7000" in text
