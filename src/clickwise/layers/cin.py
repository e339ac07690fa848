"""The compressed interaction network: crosses of whole vectors, of a degree that grows by one a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from clickwise.layers.dense import linear
from clickwise.native import precision
from clickwise.native.tensors import recorded

_PRODUCTS_AT_ONCE = 2**19
"""Numbers (2 MB) of the products of maps that exist at any one time: they stay in a cache."""


class CIN(nn.Module):
    """X^k_h = sum_{i,j} W^k_{h,ij} X^{k-1}_i * X^0_j, p^k_h = sum_d X^k_{h,d}: [B, F, D] -> [p^1 .. p^K] [B, sum H_k].

    X^0 is the vectors, * is element by element, and there is no activation, as in the paper. Three things make it fast:

    - In the first layer X_i * X_j comes twice; W has one number for both, so that i <= j there.
    - The maps of the last layer are never made: p^K_h = sum_{i,j} W_{h,ij} <X^{K-1}_i, X^0_j>, D times less work.
    - The products of the others, H_{k-1} F D numbers a row, are made a slab at a time, and again in the backward pass.

    Work: B D F H_1 (F + 1) / 2 multiplications for the first layer, B D F H_{k-1} H_k for one between, B F H_{K-1} H_K
    for the last. Weights start as Xavier normal.

    Args:
        num_vectors: F, at least 1.
        layer_dims: H_1 .. H_K, maps a layer.

    Reference: Lian et al. 2018, "xDeepFM", Eqs. 6 and 8.
    """

    def __init__(self, num_vectors: int, layer_dims: Sequence[int]) -> None:
        super().__init__()
        pairs = [num_vectors * (num_vectors + 1) // 2, *(maps * num_vectors for maps in layer_dims[:-1])]
        shapes = zip(layer_dims, pairs, strict=True)
        self.weights = nn.ParameterList(nn.init.xavier_normal_(torch.empty(shape)) for shape in shapes)

    def forward(self, vectors: Tensor) -> Tensor:
        rows, num_vectors, dim = vectors.shape
        x0 = vectors.transpose(0, 1).reshape(num_vectors, rows * dim)  # [F, B * D]
        *inner, last = self.weights
        x, pooled = x0, []
        for k, weight in enumerate(inner):
            x = _Maps.apply(weight, x, *([x0] if k else []))  # [H, B * D]
            pooled.append(x.view(-1, rows, dim).sum(2).t())
        if inner:
            dots = (x.view(-1, rows, dim).transpose(0, 1) @ vectors.transpose(1, 2)).flatten(1)  # [B, H * F]
        else:
            i, j = torch.triu_indices(num_vectors, num_vectors)
            dots = (vectors @ vectors.transpose(1, 2)).flatten(1).index_select(1, i * num_vectors + j)
        return torch.cat([*pooled, linear(dots, last)], 1)


class _Maps(torch.autograd.Function):
    """W z with z = `_products(x, x0)`, a slab of columns at a time: [H', P], [H, n], [F, n] -> [H', n].

    Maps are rows here, so that all products of a slab are of long, contiguous rows; dense layers have them as columns.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(weight, *maps)
        ctx.half = precision.current() == "bf16"
        out = weight.new_empty(len(weight), maps[0].shape[1])
        for slab in _slabs(weight, out):
            out[:, slab] = _matmul(weight, _products(*(m[:, slab] for m in maps)), ctx.half)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        weight, *maps = ctx.saved_tensors
        grad_weight, grad_maps = torch.zeros_like(weight), [torch.empty_like(m) for m in maps]
        for slab in _slabs(weight, gradients[0]):
            gradient = gradients[0][:, slab]
            with torch.enable_grad():
                parts = [m[:, slab].detach().requires_grad_() for m in maps]
                products = _products(*parts)
            grad_weight += _matmul(gradient, products.detach().t(), ctx.half)
            grad_parts = torch.autograd.grad(products, parts, _matmul(weight.t(), gradient, ctx.half))
            for whole, part in zip(grad_maps, grad_parts, strict=True):
                whole[:, slab] = part
        return grad_weight, *grad_maps


def _products(x: Tensor, x0: Tensor | None = None) -> Tensor:
    """x_i * x0_j for all i and j: [H, n], [F, n] -> [H * F, n]; without x0, x_i * x_j for i <= j."""
    if x0 is not None:
        return (x.unsqueeze(1) * x0).flatten(0, 1)
    i, j = torch.triu_indices(len(x), len(x))
    return x.index_select(0, i) * x.index_select(0, j)


def _slabs(weight: Tensor, out: Tensor) -> Iterator[slice]:
    if recorded():
        return iter([slice(None)])
    width = max(1, _PRODUCTS_AT_ONCE // weight.shape[1])
    return (slice(start, start + width) for start in range(0, out.shape[1], width))


def _matmul(a: Tensor, b: Tensor, half: bool) -> Tensor:
    """a b, of operands rounded to bf16 if `half`."""
    return (a.bfloat16() @ b.bfloat16()).to(a.dtype) if half else a @ b
