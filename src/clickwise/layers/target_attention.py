"""Attention of a target over the entries of a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from clickwise.layers.mlp import MLP, Activation


class TargetAttention(nn.Module):
    """sum_l a_l k_l over entries l that are filled, a_l = MLP([k_l, t, k_l - t, k_l * t]): [B, L, D] -> [B, D].

    The weights a_l need not add up to 1, so that the length of the sum tells how strong an interest is; with softmax
    they do. The MLP sees entries that are filled and no padding, which costs nothing and enters no statistic.

    Args:
        dim: D.
        hidden_dims: widths of the hidden layers of the MLP.
        activation: after each of them.
        softmax: weights of a row are divided by their sum, a_l = exp(MLP(..)) / sum_j exp(MLP(..)).

    Reference: Zhou et al. 2018, "Deep Interest Network for Click-Through Rate Prediction", Section 4.3, Eq. 3.
    """

    def __init__(
        self, dim: int, hidden_dims: Sequence[int], *, activation: Activation = "relu", softmax: bool = False
    ) -> None:
        super().__init__()
        self.mlp = MLP(4 * dim, hidden_dims, activation=activation, out_dim=1)
        self.softmax = softmax

    def forward(self, keys: Tensor, target: Tensor, filled: Tensor) -> Tensor:
        """keys [B, L, D], target [B, D], filled [B, L] bool."""
        row, place = filled.nonzero(as_tuple=True)
        at = row * filled.shape[1] + place  # the entries, as indices into [B * L]
        k = keys.flatten(0, 1).index_select(0, at)
        t = target.index_select(0, row)
        scores = self.mlp(torch.cat([k, t, k - t, k * t], 1)).squeeze(1)
        of_padding = torch.finfo(scores.dtype).min if self.softmax else 0.0
        weights = scores.new_full((filled.numel(),), of_padding).index_copy(0, at, scores).view_as(filled)
        if self.softmax:
            weights = weights.softmax(1) * filled  # a row without entries has none but these
        return (weights.unsqueeze(1) @ keys).squeeze(1)
