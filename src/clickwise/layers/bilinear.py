"""Bilinear forms: of all pairs of embedding vectors, and of what two networks give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from clickwise.layers.mlp import MLP
from clickwise.native import Tier
from clickwise.native.bilinear import BilinearPairs
from clickwise.native.tensors import compiled, recorded

BilinearKind = Literal["all", "each", "interaction"]


class BilinearInteraction(nn.Module):
    """p_fg = (v_f W) * v_g and q_fg = a_f a_g p_fg for all f < g: [B, F, D], [B, F] -> [p, q] [B, F (F - 1) D].

    q_fg = (u_f W) * u_g with u_f = a_f v_f. Pairs are in the order (0, 1), (0, 2) .. (F-2, F-1). W starts as Xavier
    normal.

    Args:
        num_vectors: F >= 2.
        dim: D.
        kind: the W of a pair (f, g): "all": the same for all pairs; "each": one for each f; "interaction": its own.

    Reference: Huang et al. 2019, "FiBiNET", Sections 3.4 and 3.5.
    """

    def __init__(self, num_vectors: int, dim: int, kind: BilinearKind) -> None:
        super().__init__()
        self.kind = kind
        count = {"all": 1, "each": num_vectors - 1, "interaction": num_vectors * (num_vectors - 1) // 2}[kind]
        self.weight = nn.Parameter(torch.randn(count, dim, dim) * dim**-0.5)

    def forward(self, vectors: Tensor, gates: Tensor) -> Tensor:
        if compiled(Tier.DENSE, vectors, gates, self.weight):
            pairs: Tensor = BilinearPairs.apply(vectors, gates, self.weight)
            return pairs
        last = vectors.shape[1] - 1
        if self.kind == "interaction":
            of_f = self.weight.split(list(range(last, 0, -1)))  # for each f [F - 1 - f, D, D]
            matrices = [w.transpose(0, 1).flatten(1) for w in of_f]  # [D, (F - 1 - f) D]
        else:
            matrices = list(self.weight.expand(last, -1, -1).unbind())
        first, second = torch.triu_indices(last + 1, last + 1, 1)
        shares = gates.index_select(1, first) * gates.index_select(1, second)
        pairs = _Pairs.apply(vectors, shares, *matrices)
        return pairs


class _Pairs(torch.autograd.Function):
    """[p, s p] with p_fg = (v_f W_fg) * v_g: [B, F, D], s [B, P], F - 1 matrices -> [B, 2 P D], P = F (F - 1) / 2.

    The matrix of f has the W_fg of all g > f side by side, [D, (F - 1 - f) D], or one W for all, [D, D]. Rows are taken
    a slab at a time, both ways, so that what lies between the vectors and the result stays in a cache; the products
    v_f W are made again in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, shares: Tensor, *matrices: Tensor) -> Tensor:
        pairs = vectors.new_empty(vectors.shape[0], 2, shares.shape[1], vectors.shape[2])
        for v, s, (p, q) in _slabs(vectors, shares, pairs):
            for f, at, left in _lefts(v, matrices):
                torch.mul(left, v[:, f + 1 :], out=p[:, at])
            torch.mul(p, s.unsqueeze(2), out=q)
        ctx.save_for_backward(vectors, shares, pairs, *matrices)
        return pairs.flatten(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        vectors, shares, pairs, *matrices = ctx.saved_tensors
        grad_vectors, grad_shares = torch.zeros_like(vectors), torch.empty_like(shares)
        grad_matrices = [torch.zeros_like(matrix) for matrix in matrices]
        slabs = _slabs(vectors, shares, pairs, gradients[0].view_as(pairs), grad_vectors, grad_shares)
        for v, s, (p, _), (grad_p, grad_q), grad_v, grad_s in slabs:
            torch.sum(grad_q * p, 2, out=grad_s)
            total = torch.addcmul(grad_p, grad_q, s.unsqueeze(2))  # [n, P, D]
            for f, at, left in _lefts(v, matrices):
                grad_v[:, f + 1 :].addcmul_(total[:, at], left)
                grad_left = total[:, at] * v[:, f + 1 :]
                grad_left = grad_left.sum(1) if left.shape[1] == 1 else grad_left.flatten(1)
                grad_v[:, f].addmm_(grad_left, matrices[f].t())
                grad_matrices[f].addmm_(v[:, f].t(), grad_left)
        return grad_vectors, grad_shares, *grad_matrices


def _lefts(vectors: Tensor, matrices: Sequence[Tensor]) -> Iterator[tuple[int, slice, Tensor]]:
    """For each f: f, which pairs (f, g) it has, and v_f W_fg for all of them, or [n, 1, D] where they share W."""
    start, last = 0, len(matrices)
    for f, matrix in enumerate(matrices):
        at = slice(start, start + last - f)
        yield f, at, (vectors[:, f] @ matrix).unflatten(1, (-1, vectors.shape[2]))
        start = at.stop


_PRODUCTS_AT_ONCE = 2**21
"""Numbers (8 MB) of p that are made at one time."""


def _slabs(vectors: Tensor, shares: Tensor, *others: Tensor) -> Iterator[tuple[Any, ...]]:
    """All tensors a few rows at a time; those of two halves [n, 2, P, D] as their halves."""
    rows = max(1, _PRODUCTS_AT_ONCE // max(1, shares.shape[1] * vectors.shape[2]))
    parts = [[t] if recorded() else t.split(rows) for t in (vectors, shares, *others)]
    return (tuple(t.unbind(1) if t.dim() == 4 else t for t in part) for part in zip(*parts, strict=True))


class BilinearFusion(nn.Module):
    """b + <w_1, x> + <w_2, y> + sum_k x_k^T W_k y_k, x and y cut into K equal pieces: [B, P], [B, Q] -> [B].

    w starts as Xavier normal, b as zero, W as N(0, 2 / (P Q / K + 1)) (Xavier for a map from all products to one).

    Args:
        dim1: P, a multiple of K.
        dim2: Q, a multiple of K.
        num_heads: K.

    Reference: Mao et al. 2023, "FinalMLP", Section 3.3.
    """

    def __init__(self, dim1: int, dim2: int, num_heads: int) -> None:
        super().__init__()
        self.first_order = MLP(dim1 + dim2, (), out_dim=1)
        shape = (num_heads, dim1 // num_heads, dim2 // num_heads)
        self.weight = nn.Parameter(torch.randn(shape) * (2 / (dim1 * shape[2] + 1)) ** 0.5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        heads = len(self.weight)
        xw = torch.einsum("bkp,kpq->bkq", x.unflatten(1, (heads, -1)), self.weight)  # [B, K, Q / K]
        return self.first_order(torch.cat([x, y], 1)).squeeze(1) + (xw.flatten(1) * y).sum(1)
