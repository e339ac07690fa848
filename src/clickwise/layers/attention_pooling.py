"""Attention of a sequence to itself, that makes one vector of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clickwise.layers.dense import linear


class AttentionPooling(nn.Module):
    """sum_l a_l x_l, a = softmax_l(<w, tanh(W x_l)>) over the entries l that are filled: [B, L, D] -> [B, D].

    Nothing beside the sequence decides, so that the vector of a query can be made before any item is known. A row
    without entries gives zeros. w starts at zero: at first it is the mean.

    Args:
        dim: D, also of W [D, D].

    Reference: Lin et al. 2017, "A Structured Self-attentive Sentence Embedding", Eqs. 5-6, with one hop.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, dim))
        nn.init.xavier_normal_(self.weight)
        self.score = nn.Parameter(torch.zeros(1, dim))

    def forward(self, entries: Tensor, filled: Tensor) -> Tensor:
        """entries [B, L, D], filled [B, L] bool."""
        hidden = torch.tanh(linear(entries.flatten(0, 1), self.weight))
        score = linear(hidden, self.score).view_as(filled)
        weights = score.masked_fill(~filled, torch.finfo(score.dtype).min).softmax(1) * filled
        return (weights.unsqueeze(1) @ entries).squeeze(1)
