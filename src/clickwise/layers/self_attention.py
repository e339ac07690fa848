"""Self-attention among the embedding vectors of a row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.layers.dense import linear
from clickwise.native import Tier
from clickwise.native.attention import Attention
from clickwise.native.tensors import compiled


class SelfAttention(nn.Module):
    """relu([h_1 .. h_H] + W_res e_m): [B, M, D] -> [B, M, H d].

    Each head h = sum_l a_l W_v e_l, a = softmax_l(<W_q e_m, W_k e_l>), has its own W_q, W_k and W_v. Scores are not
    divided by sqrt(d). Weights start as Xavier normal; there are no biases.

    Args:
        dim: D.
        num_heads: H.
        head_dim: d.

    Reference: Song et al. 2019, "AutoInt", Eqs. 5-8.
    """

    def __init__(self, dim: int, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, head_dim
        self.weight = nn.Parameter(torch.empty(4, num_heads * head_dim, dim))  # W_q, W_k, W_v, W_res of all heads
        for matrix in self.weight:
            nn.init.xavier_normal_(matrix)

    def forward(self, x: Tensor) -> Tensor:
        """Without kernels head by head, on views of one product, which takes less time than torch's own attention."""
        weight = self.weight.flatten(0, 1)  # [4 H d, D]
        if compiled(Tier.DENSE, x, weight):
            out: Tensor = Attention.apply(x, weight, self.num_heads)
            return out
        mapped = linear(x.flatten(0, 1), weight)  # [B M, 4 H d]
        parts = mapped.view(*x.shape[:2], 4 * self.num_heads, self.head_dim).unbind(2)  # each [B, M, d]
        heads = [_attend(*parts[head :: self.num_heads]) for head in range(self.num_heads)]
        return F.relu(torch.cat(heads, 2))


def _attend(query: Tensor, key: Tensor, value: Tensor, residual: Tensor) -> Tensor:
    """softmax(Q K^T) V + R: all [B, M, d]."""
    shares = torch.softmax(query @ key.transpose(1, 2), 2)  # [B, M, M]
    return torch.baddbmm(residual, shares, value)
