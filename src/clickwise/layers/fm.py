"""The pairwise interactions of a factorisation machine."""

from __future__ import annotations

from torch import Tensor, nn

from clickwise.native import Tier
from clickwise.native.interactions import FMPairs
from clickwise.native.tensors import compiled


class FMInteraction(nn.Module):
    """sum_{f<g} <v_f, v_g> = 1/2 sum_d [(sum_f v_fd)^2 - sum_f v_fd^2]: [B, F, D] -> [B], in O(F D).

    Reference: Rendle 2010, "Factorization Machines", Lemma 3.1.
    """

    def forward(self, vectors: Tensor) -> Tensor:
        if compiled(Tier.EMBEDDINGS, vectors):
            return FMPairs.apply(vectors)
        square_of_sum = vectors.sum(1).square()  # [B, D]
        sum_of_squares = vectors.square().sum(1)  # [B, D]
        return 0.5 * (square_of_sum - sum_of_squares).sum(1)
