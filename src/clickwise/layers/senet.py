"""Squeeze and excitation: a weight for each embedding vector of a row."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.layers.dense import linear


class SENET(nn.Module):
    """a = relu(W_2 relu(W_1 s)), s_f = mean_d v_fd: [B, F, D] -> [B, F], the weights of the vectors.

    Weights start as Xavier normal; there are no biases.

    Args:
        num_vectors: F.
        reduction_ratio: W_1 maps F numbers to F / reduction_ratio, rounded down and at least one.

    Reference: Huang et al. 2019, "FiBiNET", Section 3.3.
    """

    def __init__(self, num_vectors: int, reduction_ratio: int) -> None:
        super().__init__()
        reduced = max(1, num_vectors // reduction_ratio)
        self.squeeze = nn.Linear(num_vectors, reduced, bias=False)
        self.excite = nn.Linear(reduced, num_vectors, bias=False)
        for layer in (self.squeeze, self.excite):
            nn.init.xavier_normal_(layer.weight)

    def forward(self, vectors: Tensor) -> Tensor:
        reduced = F.relu(linear(vectors.mean(2), self.squeeze.weight))
        return F.relu(linear(reduced, self.excite.weight))
