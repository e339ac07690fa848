"""Cross networks, compiled: each one node of torch's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from clickwise.native import kernels
from clickwise.native.dense import Layer, tower
from clickwise.native.tensors import array


class CrossV1Network(torch.autograd.Function):
    """`clickwise.layers.CrossV1`: x0 [B, d], w [L, d], b [L, d] -> [B, d]."""

    @staticmethod
    def forward(ctx: Any, x0: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x0 = x0.contiguous()  # once for both passes
        out, p, e = torch.empty_like(x0), x0.new_empty(len(x0), len(weight)), x0.new_empty(len(weight))
        kernels().cross_v1_forward(array(x0), array(weight), array(bias), array(out), array(p), array(e))
        ctx.save_for_backward(x0, weight, bias, p, e)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        results = [t.new_empty(t.shape) for t in ctx.saved_tensors[:3]]
        kernels().cross_v1_backward(array(gradients[0]), *map(array, ctx.saved_tensors), *map(array, results))
        return tuple(results)


def cross_v1(x0: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x_{l+1} = x_0 (x_l . w_l) + b_l + x_l through all layers: [B, d] -> [B, d]."""
    out: Tensor = CrossV1Network.apply(x0, weight, bias)
    return out


def cross_v2(x0: Tensor, up: Sequence[Tensor], bias: Sequence[Tensor], down: Sequence[Tensor] = ()) -> Tensor:
    """x_{l+1} = x_0 * (U_l V_l^T x_l + b_l) + x_l: [B, d] -> [B, d]; without `down`, U_l is the whole matrix.

    Products are made in the precision in use. up: L of [d, d] or [d, r]; bias: L of [d]; down: V^T, none or L of
    [r, d].
    """
    layers = [Layer(*both) for both in zip(up, bias, strict=True)]
    if not down:
        return tower(x0, layers, links=1)
    pairs = zip(down, layers, strict=True)
    return tower(x0, [layer for inner, outer in pairs for layer in (Layer(inner, None), outer)], links=2)
