"""Batch normalisation, ReLU and dropout in one pass, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.tensors import array, dropout_seed

__all__ = ["Dropout", "NormReLU", "moments"]


@dataclass(frozen=True, slots=True)
class Dropout:
    """Which activations are set to zero: a hash of (seed, layer, row, column) decides, by this share of them."""

    share: float
    seed: int
    layer: int = 0

    @classmethod
    def draw(cls, share: float) -> Dropout:
        """A seed from torch's generator; none is drawn where nothing is dropped."""
        return cls(share, dropout_seed() if share > 0 else 0)


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the columns of z [B, N], B >= 1."""
    mean, variance = z.new_empty(z.shape[1]), z.new_empty(z.shape[1])
    kernels().norm_moments(array(z), array(mean), array(variance))
    return mean, variance


class NormReLU(torch.autograd.Function):
    """y = dropout(relu(gamma (z - mean) / sqrt(variance + eps) + beta)): [B, N] -> [B, N].

    `of_batch` says that mean and variance are `moments(z)`: the gradient then goes through them too.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        gamma: Tensor,
        beta: Tensor,
        mean: Tensor,
        variance: Tensor,
        of_batch: bool,
        eps: float,
        dropout: Dropout,
    ) -> Tensor:
        y = z.new_empty(z.shape)
        ctx.rule = (eps, dropout.share, dropout.seed, dropout.layer)
        ctx.of_batch = of_batch
        kernels().norm_forward(*map(array, (z, mean, variance, gamma, beta)), *ctx.rule, array(y))
        # Copies of the statistics: the running ones may move on before the backward pass.
        ctx.save_for_backward(z, mean.clone(), variance.clone(), gamma, beta)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, *columns = ctx.saved_tensors
        grad_z, grad_gamma, grad_beta = z.new_empty(z.shape), z.new_empty(z.shape[1]), z.new_empty(z.shape[1])
        results = map(array, (grad_z, grad_gamma, grad_beta))
        kernels().norm_backward(*map(array, (z, *columns)), *ctx.rule, ctx.of_batch, array(gradients[0]), *results)
        return grad_z, grad_gamma, grad_beta, None, None, None, None, None
