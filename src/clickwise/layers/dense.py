"""A linear map in the precision in use: what every layer with a weight matrix is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from clickwise.native import Tier, dense, precision
from clickwise.native.tensors import compiled


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: [B, K], [N, K], [N] -> [B, N] in the type of x.

    In bf16 (`clickwise.native.precision`) operands are rounded and sums are fp32; torch rounds the result too.
    """
    if compiled(Tier.DENSE, x, weight):
        return dense.linear(x, weight, bias)
    if precision.current() == "fp32":
        return F.linear(x, weight, bias)
    half = torch.bfloat16
    return F.linear(x.to(half), weight.to(half), None if bias is None else bias.to(half)).to(x.dtype)
