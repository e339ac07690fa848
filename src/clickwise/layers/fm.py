"""The pairwise interactions of a factorisation machine."""

from __future__ import annotations

from torch import Tensor, nn

from clickwise.native import Tier
from clickwise.native.interactions import FMPairs
from clickwise.native.tensors import compiled


def bi_interaction(vectors: Tensor) -> Tensor:
    """sum_{f<g} v_f * v_g = 1/2 [(sum_f v_f)^2 - sum_f v_f^2], element by element: [B, F, D] -> [B, D].

    Reference: He and Chua 2017, "Neural Factorization Machines", Eqs. 3 and 4.
    """
    return 0.5 * (vectors.sum(1).square() - vectors.square().sum(1))


class FMInteraction(nn.Module):
    """sum_{f<g} <v_f, v_g> = 1/2 sum_d [(sum_f v_fd)^2 - sum_f v_fd^2]: [B, F, D] -> [B], in O(F D).

    Reference: Rendle 2010, "Factorization Machines", Lemma 3.1.
    """

    def forward(self, vectors: Tensor) -> Tensor:
        if compiled(Tier.EMBEDDINGS, vectors):
            return FMPairs.apply(vectors)
        return bi_interaction(vectors).sum(1)
