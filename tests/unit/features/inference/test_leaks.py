from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from clickwise.features.inference.leaks import _auc, leak
from clickwise.features.inference.profile import profile

RNG = np.random.default_rng(0)
LABEL = (RNG.random(4000) < 0.05).astype(np.float32)


def leak_of(values, label=LABEL):
    return leak(profile("x", pa.chunked_array([pa.array(values)])), label)


def test_auc_agrees_with_scikit_learn_with_ties():
    score = RNG.integers(0, 10, 4000) + LABEL
    assert _auc(score, LABEL == 1) == pytest.approx(roc_auc_score(LABEL, score))
    assert _auc(-score, LABEL == 1) == pytest.approx(roc_auc_score(LABEL, score))


@pytest.mark.parametrize("turned", [False, True])
def test_leaks_by_being_missing(turned):
    there = (LABEL == 1) ^ turned
    assert "whether it is missing" in leak_of([str(i % 7) if t else None for i, t in enumerate(there)])


@pytest.mark.parametrize("sign", [1, -1])
def test_leaks_by_its_value(sign):
    assert "its value tells" in leak_of(sign * (LABEL * 10 + RNG.random(4000)))


def test_leaks_by_its_tokens():
    tokens = np.where(LABEL == 1, RNG.choice(["sale", "cart"], 4000), RNG.choice(["none", "view", "scroll"], 4000))
    assert "held out" in leak_of(tokens)


def test_what_does_not_leak():
    assert leak_of([f"row{i}" for i in range(4000)]) is None  # memorises the fitted half, says nothing of the other
    assert leak_of(LABEL + RNG.normal(0, 1, 4000)) is None
    assert leak_of(["a"] * 4000) is None
    assert leak_of([None] * 4000, LABEL) is None


def test_too_few_positives_give_no_verdict():
    label = np.zeros(4000, np.float32)
    label[:19] = 1
    assert leak_of(label.astype(str), label) is None
    label[:60] = 1
    assert leak_of(label.astype(str), label) is not None


def test_rows_with_an_unknown_label_are_left_out():
    label = LABEL.copy()
    label[:2000] = np.nan
    values = np.where(np.isnan(label), RNG.random(4000) * 20, LABEL * 10)
    assert leak_of(values, label) is not None
