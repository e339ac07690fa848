"""Bilinear forms of all pairs of vectors, compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.tensors import array, new_result


class BilinearPairs(torch.autograd.Function):
    """`clickwise.layers.BilinearInteraction`: v [B, F, D], a [B, F], W [1, F - 1 or P, D, D] -> [p, q] [B, 2 P D].

    In fp32 whatever the precision in use: most of the time is not in the products of such small matrices. Nothing as
    large as the result is kept for the backward pass, which makes the products v_f W again.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, gates: Tensor, weight: Tensor) -> Tensor:
        count, dim = vectors.shape[1:]
        pairs = new_result(vectors, len(vectors), count * (count - 1) * dim)
        kernels().bilinear_forward(array(vectors), array(gates), array(weight), array(pairs))
        ctx.save_for_backward(vectors, gates, weight)
        return pairs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        wanted = [
            t.new_empty(t.shape) if needed else None for t, needed in zip(inputs, ctx.needs_input_grad, strict=True)
        ]
        grads = [None if t is None else array(t) for t in wanted]
        kernels().bilinear_backward(*map(array, inputs), array(gradients[0]), *grads)
        return tuple(wanted)
