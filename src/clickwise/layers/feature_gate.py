"""A gate that weighs each input of a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from clickwise.layers.mlp import MLP


class FeatureGate(nn.Module):
    """x * 2 sigmoid(MLP(c)): [B, d], [B, C] -> [B, d].

    Gates start near 1. Without a context of each row c is one learnable vector [C], so that a gate is the same for all
    rows; it starts as N(0, 0.01^2).

    Args:
        dim: d.
        context_dim: C.
        hidden_dims: widths of the hidden layers of the MLP; may be empty.
        learned_context: c is learned; else `forward` is given one.

    Reference: Mao et al. 2023, "FinalMLP", Section 3.2.
    """

    def __init__(self, dim: int, context_dim: int, hidden_dims: Sequence[int], *, learned_context: bool) -> None:
        super().__init__()
        self.mlp = MLP(context_dim, hidden_dims, out_dim=dim)
        self.context = nn.Parameter(torch.randn(1, context_dim) * 0.01) if learned_context else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        c = context if self.context is None else self.context
        return x * (2.0 * torch.sigmoid(self.mlp(c)))
