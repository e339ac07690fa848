"""The distinct rows of a batch, by hashing."""

from __future__ import annotations

import torch
from torch import Tensor

from clickwise.distinct import Distinct
from clickwise.native import kernels
from clickwise.native.tensors import array


def find_by_hashing(sparse: Tensor, groups: Tensor) -> Distinct:
    """The distinct rows of `sparse` [B, S]; the rows of each group are in the order in which its slots show them."""
    B, S = sparse.shape
    rows, starts = sparse.new_empty(1 + S * B), torch.empty_like(groups)
    inverse = sparse.new_empty(S, B)
    count = kernels().distinct(array(sparse), array(groups), array(rows), array(starts), array(inverse))
    return Distinct(rows[:count], inverse, groups, starts)
