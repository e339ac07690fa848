"""The logistic loss against its definition."""

from __future__ import annotations

import math

import pytest
import torch

from clickwise.losses import binary_cross_entropy

LOGIT, LABEL = [0.3, -2.0, 1.5, 40.0], [1.0, 0.0, 0.0, 1.0]


def one(z: float, y: float) -> float:
    p = 1 / (1 + math.exp(-z))
    return -(math.log(p) if y else math.log(1 - p))


@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.0, 0.5]])
def test_equals_the_definition(weight):
    w = weight or [1.0] * 4
    expected = sum(k * one(z, y) for k, z, y in zip(w, LOGIT, LABEL, strict=True)) / sum(w)
    tensor = None if weight is None else torch.tensor(weight)
    assert binary_cross_entropy(torch.tensor(LOGIT), torch.tensor(LABEL), tensor).item() == pytest.approx(expected)


def test_weights_that_are_all_zero_give_zero_and_no_nan():
    assert binary_cross_entropy(torch.tensor(LOGIT), torch.tensor(LABEL), torch.zeros(4)).item() == 0.0


def test_smoothing_moves_the_labels_towards_a_half():
    z, y = torch.tensor(LOGIT[:3]), torch.tensor(LABEL[:3])
    smooth, p = 0.1 + 0.8 * y, torch.sigmoid(z)
    expected = -(smooth * p.log() + (1 - smooth) * (1 - p).log()).mean()
    torch.testing.assert_close(binary_cross_entropy(z, y, smoothing=0.2), expected)
