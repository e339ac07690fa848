"""One tower of a two-tower model."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.layers.dense import linear
from clickwise.layers.mlp import MLP, flat_input


class Tower(nn.Module):
    """One vector for all that is known of a query or of an item: [B, F, D] and [B, N] -> [B, K].

    With hidden layers MLP([v_1 .. v_F, dense]), whose last layer has no activation; without, sum_f v_f + W dense, which
    for one field a side is matrix factorisation.

    Args:
        num_vectors: F.
        dim: D.
        num_dense: N.
        hidden_dims: widths of the layers, the last is K; empty: K = D.
        dropout: share of activations set to zero in training, in [0, 1).
        batch_norm: normalise before each activation.
        normalize: divide by the Euclidean norm.

    Reference: Huang et al. 2013, "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data",
    Section 3; Kula 2015, "Metadata Embeddings for User and Item Cold-start Recommendations", for the sum.
    """

    def __init__(
        self,
        num_vectors: int,
        dim: int,
        num_dense: int,
        hidden_dims: Sequence[int],
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.mlp: MLP | None = None
        self.of_dense: nn.Linear | None = None
        if hidden_dims:
            *hidden, out_dim = hidden_dims
            in_dim = num_vectors * dim + num_dense
            self.mlp = MLP(in_dim, hidden, dropout=dropout, batch_norm=batch_norm, out_dim=out_dim)
        elif num_dense:
            self.of_dense = nn.Linear(num_dense, dim, bias=False)
            nn.init.normal_(self.of_dense.weight, 0.0, 0.01)

    def forward(self, vectors: Tensor, dense: Tensor) -> Tensor:
        if self.mlp is not None:
            out = self.mlp(flat_input(vectors, dense))
        else:
            out = vectors.sum(1)
            if self.of_dense is not None:
                out = out + linear(dense, self.of_dense.weight)
        return F.normalize(out, dim=1) if self.normalize else out
