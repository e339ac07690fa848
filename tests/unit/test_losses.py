"""Losses against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from clickwise.losses import (
    bayesian_personalized_ranking,
    binary_cross_entropy,
    cosine_contrastive,
    sampled_softmax,
)

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


SCORE = [[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]]
TARGET = [0, 2]


def test_sampled_softmax_corrects_all_candidates_the_own_one_too():
    """Worked by hand: for the first query exp(2) / .5, exp(.5) / .25 and exp(-1) / 1 share the whole."""
    q = [0.5, 0.25, 1.0]
    powers = [[math.exp(s) / p for s, p in zip(row, q, strict=True)] for row in SCORE]
    losses = [-math.log(row[own] / sum(row)) for row, own in zip(powers, TARGET, strict=True)]
    score, target, log_q = torch.tensor(SCORE), torch.tensor(TARGET), torch.tensor(q).log()
    assert sampled_softmax(score, target, log_q).item() == pytest.approx(sum(losses) / 2)
    weighted = sampled_softmax(score, target, log_q, torch.tensor([3.0, 0.5])).item()
    assert weighted == pytest.approx((3.0 * losses[0] + 0.5 * losses[1]) / 2)


def test_a_constant_factor_of_the_probabilities_cancels():
    score, target, log_q = torch.tensor(SCORE), torch.tensor(TARGET), torch.tensor([0.5, 0.25, 1.0]).log()
    torch.testing.assert_close(sampled_softmax(score, target, log_q - 2.0), sampled_softmax(score, target, log_q))
    torch.testing.assert_close(sampled_softmax(score, target), sampled_softmax(score, target, torch.full((3,), -5.0)))


def test_pairwise_and_cosine_losses_leave_the_own_item_out_of_the_others():
    score, target = torch.tensor(SCORE), torch.tensor(TARGET)
    pairs = [
        sum(math.log(1 + math.exp(row[j] - row[own])) for j in range(3) if j != own) / 2
        for row, own in zip(SCORE, TARGET, strict=True)
    ]
    assert bayesian_personalized_ranking(score, target).item() == pytest.approx(sum(pairs) / 2)
    contrasts = [
        1 - row[own] + 4.0 * sum(max(0.0, row[j] - 0.4) for j in range(3) if j != own) / 2
        for row, own in zip(SCORE, TARGET, strict=True)
    ]
    weight = torch.tensor([1.0, 2.0])
    assert cosine_contrastive(score, target, 0.4, 4.0).item() == pytest.approx(sum(contrasts) / 2)
    found = cosine_contrastive(score, target, 0.4, 4.0, weight).item()
    assert found == pytest.approx((contrasts[0] + 2.0 * contrasts[1]) / 2)


def test_candidates_that_are_no_negatives_count_for_their_own_queries_alone():
    """The second and third: the first query's own item is none of them, the second one's is."""
    score, target, negative = torch.tensor(SCORE), torch.tensor(TARGET), torch.tensor([False, True, True])
    powers = [[math.exp(s) for s in row] for row in SCORE]
    softmax = -math.log(powers[0][0] / sum(powers[0])) - math.log(powers[1][2] / (powers[1][1] + powers[1][2]))
    assert sampled_softmax(score, target, negative=negative).item() == pytest.approx(softmax / 2)
    pairs = (math.log(1 + math.exp(0.5 - 2.0)) + math.log(1 + math.exp(-1.0 - 2.0))) / 2 + math.log(1 + math.exp(-2.0))
    assert bayesian_personalized_ranking(score, target, negative=negative).item() == pytest.approx(pairs / 2)
    contrast = (1 - 2.0) + 4.0 * 0.1 / 2 + (1 - 3.0) + 4.0 * 0.6
    assert cosine_contrastive(score, target, 0.4, 4.0, negative=negative).item() == pytest.approx(contrast / 2)
