"""The block that MaskNet is made of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.layers.dense import linear
from clickwise.layers.mlp import MLP


class MaskBlock(nn.Module):
    """dropout(relu(LN(W (mask * h)))), mask = W_2 relu(W_1 e + b_1) + b_2: [B, E] and [B, K] -> [B, N].

    The mask, made of the embeddings e of the row, weighs the input h of a layer: a product of the two, where an MLP has
    only sums. Weights start as Xavier normal, biases as zero.

    Args:
        mask_dim: E.
        in_dim: K.
        out_dim: N.
        reduction_ratio: W_1 maps to reduction_ratio * K numbers, rounded, at least one.
        dropout: share of activations set to zero in training, in [0, 1).

    Reference: Wang et al. 2021, "MaskNet", Sections 3.2 and 3.3.
    """

    def __init__(
        self, mask_dim: int, in_dim: int, out_dim: int, *, reduction_ratio: float, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.mask = MLP(mask_dim, (max(1, round(reduction_ratio * in_dim)),), out_dim=in_dim)
        self.hidden = nn.Linear(in_dim, out_dim, bias=False)
        nn.init.xavier_normal_(self.hidden.weight)
        self.norm = nn.LayerNorm(out_dim)
        self.dropout = dropout

    def forward(self, embeddings: Tensor, h: Tensor) -> Tensor:
        z = F.relu(self.norm(linear(self.mask(embeddings) * h, self.hidden.weight)))
        return F.dropout(z, self.dropout, self.training) if self.dropout else z
