"""What training minimises. Models give logits; this is the only place in training where a sigmoid meets them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def binary_cross_entropy(
    logit: Tensor, label: Tensor, weight: Tensor | None = None, *, smoothing: float = 0.0
) -> Tensor:
    """- sum_i w_i [y_i ln s(z_i) + (1 - y_i) ln(1 - s(z_i))] / sum_i w_i, with s the logistic function.

    Args:
        logit: [B], z.
        label: [B], y, 0 or 1.
        weight: [B], w >= 0; None counts as 1. A batch whose weights are all zero has loss 0.
        smoothing: s in [0, 1); (1 - s) y + s / 2 takes the place of y.

    >>> import torch
    >>> round(float(binary_cross_entropy(torch.zeros(3), torch.tensor([0.0, 1.0, 1.0]))), 4)
    0.6931
    """
    if smoothing:
        label = label * (1.0 - smoothing) + smoothing / 2.0
    if weight is None:
        return F.binary_cross_entropy_with_logits(logit, label)
    total = F.binary_cross_entropy_with_logits(logit, label, weight, reduction="sum")
    return total / weight.sum().clamp(min=1e-12)
