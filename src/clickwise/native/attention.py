"""Attention among the vectors of a row, compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.precision import current
from clickwise.native.tensors import array


class Attention(torch.autograd.Function):
    """`clickwise.layers.SelfAttention`: x [B, M, D], W [4 H d, D] of all heads, H -> [B, M, H d].

    The rows of W are those of W_q of all heads, then W_k, W_v and W_res. The maps are in the precision in use, the rest
    in fp32. Nothing but the output is kept for the backward pass: it maps again, which takes less time than memory.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, num_heads: int) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        out = x.new_empty(*x.shape[:2], len(weight) // 4)
        ctx.num_heads, ctx.half = num_heads, current() == "bf16"
        kernels().attention_forward(array(x), array(weight), num_heads, ctx.half, array(out))
        ctx.save_for_backward(x, weight, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, out = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(x), torch.empty_like(weight)
        given = (array(x), array(weight), ctx.num_heads, ctx.half, array(out), array(gradients[0]))
        kernels().attention_backward(*given, array(grad_x), array(grad_weight))
        return grad_x, grad_weight, None
