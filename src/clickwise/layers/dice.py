"""Dice, an activation that adapts to its input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.native.tensors import recorded


class Dice(nn.Module):
    """dropout(p * s + (1 - p) * alpha * s), p = sigmoid((s - mean) / sqrt(variance + eps)): [B, N] -> [B, N].

    Mean and variance are those of the batch in training and the running ones otherwise; a training batch of one row or
    none has no variance and takes the running ones. alpha [N] is learned and starts at zero.

    Reference: Zhou et al. 2018, "Deep Interest Network for Click-Through Rate Prediction", Section 5.3.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim, eps=1e-8, affine=False)
        self.alpha = nn.Parameter(torch.zeros(dim))

    def forward(self, s: Tensor, dropout: float = 0.0) -> Tensor:
        """`dropout`: share of activations set to zero in training, in [0, 1)."""
        if recorded():  # of any number of entries, also none: torch's own asks how many
            mean, variance = self.norm.running_mean, self.norm.running_var
            assert mean is not None and variance is not None
            normed = (s - mean) * torch.rsqrt(variance + self.norm.eps)
        elif len(s) > 1:
            normed = self.norm(s)
        else:
            normed = F.batch_norm(s, self.norm.running_mean, self.norm.running_var, eps=self.norm.eps)
        p = torch.sigmoid(normed)
        return F.dropout(s * (p + (1.0 - p) * self.alpha), dropout, self.training)
