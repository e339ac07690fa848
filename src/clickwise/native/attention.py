"""Attention among the vectors of a row, compiled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.dense import product, product_gradients
from clickwise.native.precision import current
from clickwise.native.tensors import array

_MAPPED_AT_ONCE = 2**19
"""Numbers (2 MB) of queries, keys, values and residuals that are made and used at one time: they stay in a cache."""


class Attention(torch.autograd.Function):
    """`clickwise.layers.SelfAttention`: x [B, M, D], W [4 H d, D] of all heads, H -> [B, M, H d].

    The rows of W are those of W_q of all heads, then W_k, W_v and W_res. The maps are in the precision in use, the rest
    in fp32. Rows are taken a slab at a time, both ways; the shares [M, M] exist for one row and head at a time, and are
    made again in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, num_heads: int) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        out = x.new_empty(*x.shape[:2], len(weight) // 4)
        ctx.num_heads, ctx.precision = num_heads, current()
        mapped = []
        for part, into in _slabs(weight, x, out):
            of_part = product(part.flatten(0, 1), weight, None, ctx.precision).view(*part.shape[:2], len(weight))
            kernels().attention_forward(array(of_part), num_heads, array(into))
            mapped.append(of_part)
        ctx.save_for_backward(x, weight, out, *mapped)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, out, *mapped = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight)
        slabs = _slabs(weight, x, out, gradients[0].contiguous(), grad_x)
        for (part, of_out, grad_out, grad_part), of_part in zip(slabs, mapped, strict=True):
            gradient = torch.empty_like(of_part)
            kernels().attention_backward(array(grad_out), array(of_out), array(of_part), ctx.num_heads, array(gradient))
            inner, outer = product_gradients(gradient.flatten(0, 1), part.flatten(0, 1), weight, ctx.precision)
            grad_part.copy_(inner.view_as(grad_part))
            grad_weight += outer
        return grad_x, grad_weight, None


def _slabs(weight: Tensor, *of_rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors [B, M, ..] a few rows at a time; how many depends on the sizes alone."""
    rows = max(1, _MAPPED_AT_ONCE // max(1, of_rows[0].shape[1] * len(weight)))
    return zip(*(t.split(rows) for t in of_rows), strict=True)
