"""Bilinear forms: of all pairs of embedding vectors, and of what two networks give."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from clickwise.layers.mlp import MLP

BilinearKind = Literal["all", "each", "interaction"]


class BilinearInteraction(nn.Module):
    """p_fg = (v_f W) * v_g for all f < g: [B, F, D] -> [B, F (F - 1) / 2, D].

    Pairs are in the order (0, 1), (0, 2) .. (F-2, F-1). W starts as Xavier normal.

    Args:
        num_vectors: F >= 2.
        dim: D.
        kind: the W of a pair (f, g): "all": the same for all pairs; "each": one for each f; "interaction": its own.

    Reference: Huang et al. 2019, "FiBiNET", Section 3.4.
    """

    def __init__(self, num_vectors: int, dim: int, kind: BilinearKind) -> None:
        super().__init__()
        self.kind = kind
        count = {"all": 1, "each": num_vectors - 1, "interaction": num_vectors * (num_vectors - 1) // 2}[kind]
        self.weight = nn.Parameter(torch.randn(count, dim, dim) * dim**-0.5)

    def forward(self, vectors: Tensor) -> Tensor:
        """One product for each f, with all g > f at once."""
        last = vectors.shape[1] - 1
        if self.kind == "interaction":
            weights = self.weight.split(list(range(last, 0, -1)))  # for each f [F - 1 - f, D, D]
            left = [torch.einsum("bd,gde->bge", vectors[:, f], weights[f]) for f in range(last)]
        else:
            left = list((vectors[:, :-1].unsqueeze(2) @ self.weight).unbind(1))  # each [B, 1, D]
        return torch.cat([left[f] * vectors[:, f + 1 :] for f in range(last)], 1)


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
