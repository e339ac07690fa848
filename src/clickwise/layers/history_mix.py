"""What somebody did, weighed against who they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clickwise.layers.dense import linear


class HistoryMix(nn.Module):
    """[gamma v_1 .. gamma v_F, (1 - gamma) W_1 x_1 .. (1 - gamma) W_S x_S]: [B, F, D] and [B, S, D] -> [B, F + S, D].

    The rows of a sequence are those of the items themselves; W turns what an item is into what it says about whoever
    chose it.

    Args:
        dim: D.
        num_sequences: S > 0.
        gamma: share of the other vectors, in [0, 1).

    Reference: Mao et al. 2021, "SimpleX: A Simple and Strong Baseline for Collaborative Filtering".
    """

    def __init__(self, dim: int, num_sequences: int, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(dim, dim)) for _ in range(num_sequences))
        for weight in self.weights:
            nn.init.xavier_normal_(weight)

    def forward(self, others: Tensor, sequences: Tensor) -> Tensor:
        mapped = [linear(x, weight) for x, weight in zip(sequences.unbind(1), self.weights, strict=True)]
        return torch.cat([self.gamma * others, (1.0 - self.gamma) * torch.stack(mapped, 1)], 1)
