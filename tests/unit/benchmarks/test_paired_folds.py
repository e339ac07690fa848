"""What `paired_folds.py` says of two models on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clickwise.metrics import log_loss, roc_auc, roc_auc_stderr


@pytest.fixture
def paired_folds(script: Callable[[str], Any]) -> Any:
    return script("paired_folds")


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=600)
    label = (rng.random(600) < 1 / (1 + np.exp(-truth))).astype(float)
    return label, truth, np.round(truth + rng.normal(size=600), 1)  # rounded: ties


def test_the_means_are_those_of_the_metrics(paired_folds: Any, rows) -> None:
    label, good, poor = rows
    mine, theirs = ([paired_folds.Scores(np.zeros(600), label, logit)] for logit in (good, poor))
    assert paired_folds.auc(theirs) == pytest.approx(roc_auc(poor, label))
    loss, area = paired_folds.log_loss_difference(mine, theirs), paired_folds.auc_difference(mine, theirs)
    assert loss.mean == pytest.approx(log_loss(good, label) - log_loss(poor, label))
    assert area.mean == pytest.approx(roc_auc(good, label) - roc_auc(poor, label))


def test_an_auc_against_a_constant_has_the_interval_of_one_auc(paired_folds: Any, rows) -> None:
    label, good, _ = rows
    mine, constant = ([paired_folds.Scores(np.zeros(600), label, logit)] for logit in (good, np.zeros(600)))
    found = paired_folds.auc_difference(mine, constant)
    assert found.mean == pytest.approx(roc_auc(good, label) - 0.5)
    assert found.half == pytest.approx(paired_folds.Z95 * roc_auc_stderr(good, label))


def test_fits_of_two_folds_are_not_compared(paired_folds: Any, rows) -> None:
    label, good, _ = rows
    fold = np.arange(600) % 2
    shifted = paired_folds.Scores(fold, label, good + 100.0 * fold)
    assert paired_folds.auc_difference([shifted], [paired_folds.Scores(fold, label, good)]).mean == 0


def test_the_intervals_hold_the_truth_as_often_as_they_say(paired_folds: Any) -> None:
    rng, missed, label = np.random.default_rng(2), np.zeros(2), np.repeat([0.0, 1.0], 200)
    for _ in range(400):
        shared, fold = rng.normal(size=400), rng.permutation(400) % 2
        one, other = ([paired_folds.Scores(fold, label, label + shared + rng.normal(size=400))] for _ in range(2))
        both = paired_folds.auc_difference(one, other), paired_folds.log_loss_difference(one, other)
        missed += [abs(found.mean) > found.half for found in both]
    assert np.all((missed > 6) & (missed < 40))  # 20 expected of 400


def test_folds_are_of_one_size_and_drawn_by_the_seed(paired_folds: Any) -> None:
    fold = paired_folds.dealt(11, 3, seed=1)
    assert sorted(np.bincount(fold)) == [3, 4, 4]
    assert np.any(fold != paired_folds.dealt(11, 3, seed=2))


def test_a_fold_of_one_class_is_refused(paired_folds: Any) -> None:
    with pytest.raises(SystemExit, match="one class"):
        paired_folds.placements(np.zeros(3), np.ones(3, bool))
