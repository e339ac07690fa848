"""Batch normalisation with the activation and the dropout that follow it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.native import Tier
from clickwise.native.norm import Dropout, NormReLU, moments
from clickwise.native.tensors import compiled


class BatchNormReLU(nn.BatchNorm1d):
    """dropout(relu(gamma (z - mean) / sqrt(variance + eps) + beta)): [B, N] -> [B, N].

    Mean and variance are those of the batch in training and the running ones otherwise; a training batch of one row
    has no variance and is normalised by the running statistics. Without kernels dropout is torch's own.

    Reference: Ioffe and Szegedy 2015, "Batch Normalization", Algorithms 1 and 2.
    """

    running_mean: Tensor
    running_var: Tensor

    def forward(self, z: Tensor, dropout: float = 0.0) -> Tensor:
        """`dropout`: share of activations set to zero in training, in [0, 1)."""
        of_batch = self.training and len(z) > 1
        if compiled(Tier.DENSE, z, self.weight):
            return self._compiled(z, of_batch, dropout if self.training else 0.0)
        if of_batch:
            z = super().forward(z)
        else:
            z = F.batch_norm(z, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        z = F.relu(z)
        return F.dropout(z, dropout, self.training) if dropout else z

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """What a normalisation by the running statistics multiplies by, and then adds: [N] float64 each."""
        scale = self.weight.double() / (self.running_var.double() + self.eps).sqrt()
        return scale, self.bias.double() - self.running_mean.double() * scale

    def _compiled(self, z: Tensor, of_batch: bool, dropout: float) -> Tensor:
        z = z.contiguous()  # once for both passes
        mean, variance = moments(z) if of_batch else (self.running_mean, self.running_var)
        if of_batch:
            self._follow(mean, variance * (len(z) / (len(z) - 1)))
        y: Tensor = NormReLU.apply(z, self.weight, self.bias, mean, variance, of_batch, self.eps, Dropout.draw(dropout))
        return y

    def _follow(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        """Running statistics move towards those of a batch."""
        assert self.momentum is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased_variance, self.momentum)
