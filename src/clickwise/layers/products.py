"""Products of pairs of embedding vectors that models use other than as the sum of an FM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from clickwise.native.tensors import recorded


def inner_products(vectors: Tensor) -> Tensor:
    """(<v_f, v_g>)_{f<g}, in the order (0, 1), (0, 2) .. (F-2, F-1): [B, F, D] -> [B, F (F - 1) / 2]."""
    num_vectors = vectors.shape[1]
    first, second = torch.triu_indices(num_vectors, num_vectors, 1)
    gram = (vectors @ vectors.transpose(1, 2)).flatten(1)  # [B, F * F]
    return gram.index_select(1, first * num_vectors + second)


def outer_product(vectors: Tensor) -> Tensor:
    """s s^T with s = sum_f v_f, which is the sum of v_f v_g^T over all f and g: [B, F, D] -> [B, D * D].

    Reference: Qu et al. 2016, "Product-based Neural Networks", Eq. 15.
    """
    total = vectors.sum(1)
    return (total.unsqueeze(2) * total.unsqueeze(1)).flatten(1)


def field_aware_pairs(vectors: Tensor) -> Tensor:
    """sum_{f<g} <v_{f,g}, v_{g,f}>: [B, F, F, D] -> [B]. The vectors v_{f,f} have no part in it.

    Reference: Juan et al. 2016, "Field-aware Factorization Machines for CTR Prediction", Eq. 4.
    """
    pairs: Tensor = _FieldAwarePairs.apply(vectors)
    return pairs


_ROWS_AT_ONCE = 32


class _FieldAwarePairs(torch.autograd.Function):
    """With a backward pass of its own, which takes half the time of torch's: one pass over the vectors. The forward
    pass takes the pairs f < g alone, and so few rows at once that their vectors stay in a cache.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        ctx.save_for_backward(vectors)
        num_vectors = vectors.shape[1]
        f, g = torch.triu_indices(num_vectors, num_vectors, 1)
        upper, lower = f * num_vectors + g, g * num_vectors + f
        flat = vectors.flatten(1, 2)
        slabs = [flat] if recorded() else flat.split(_ROWS_AT_ONCE)  # [b, F * F, D]
        return torch.cat([(v.index_select(1, upper) * v.index_select(1, lower)).sum((1, 2)) for v in slabs])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (vectors,) = ctx.saved_tensors
        gradient: Tensor = gradients[0].view(-1, 1, 1, 1) * vectors.transpose(1, 2)
        gradient.diagonal(dim1=1, dim2=2).zero_()
        return gradient
