"""Losses by blocks of queries: the value and the gradients of the whole matrix of scores."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clickwise.losses import bayesian_personalized_ranking, cosine_contrastive, sampled_softmax
from clickwise.training.objectives import blocks

QUERIES, ITEMS = 23, 11
WEIGHT = torch.linspace(0.2, 3.0, QUERIES, dtype=torch.float64)
LOG_Q = torch.linspace(-4.0, -0.1, ITEMS, dtype=torch.float64)
TARGET = torch.arange(QUERIES) * 5 % ITEMS


def softmax(score: Tensor, part: slice) -> Tensor:
    return sampled_softmax(score, TARGET[part], LOG_Q, WEIGHT[part])


def pairs(score: Tensor, part: slice) -> Tensor:
    return bayesian_personalized_ranking(score, TARGET[part])


def contrast(score: Tensor, part: slice) -> Tensor:
    return cosine_contrastive(score, TARGET[part], 0.1, 3.0, WEIGHT[part])


@pytest.mark.parametrize("loss", [softmax, pairs, contrast])
@pytest.mark.parametrize("at_once", [1, 4 * ITEMS, 1 << 20])  # one query a block, four and a rest of three, all
def test_blocks_give_the_value_and_gradients_of_the_whole(monkeypatch, loss, at_once: int) -> None:
    monkeypatch.setattr(blocks, "SCORES_AT_ONCE", at_once)
    rng = torch.Generator().manual_seed(3)
    vectors = [torch.randn(n, 4, dtype=torch.float64, generator=rng).requires_grad_() for n in (QUERIES, ITEMS)]
    found, expected = blocks.by_blocks(loss, *vectors), loss(vectors[0] @ vectors[1].t(), slice(None))
    torch.testing.assert_close(found, expected)
    slopes = [torch.autograd.grad(2.0 * value, vectors) for value in (found, expected)]
    assert all(slope.abs().max() > 1e-3 for slope in slopes[1])
    for mine, whole in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, whole)
