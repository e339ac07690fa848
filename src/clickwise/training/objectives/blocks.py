"""A loss over all pairs of queries and items, without the matrix of their scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SCORES_AT_ONCE = 1 << 19
"""Two megabytes of scores, so that what one operation writes the next still finds in the processor's cache."""


def by_blocks(loss: Callable[[Tensor, slice], Tensor], query: Tensor, item: Tensor) -> Tensor:
    """loss(query @ item^T), some queries at a time; each block's gradient is taken while its scores are at hand.

    Args:
        loss: of the scores [b, C] of some queries, and which these are; the mean over them.
        query, item: [B, D] and [C, D]; gradients reach them, and nothing else that `loss` uses.
    """
    found: Tensor = _ByBlocks.apply(loss, query, item)
    return found


class _ByBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Callable[[Tensor, slice], Tensor], query: Tensor, item: Tensor) -> Tensor:
        total, of_query, of_item = query.new_zeros(()), torch.empty_like(query), torch.zeros_like(item)
        rows = max(1, SCORES_AT_ONCE // len(item))
        for start in range(0, len(query), rows):
            part = slice(start, start + rows)
            mine = query[part]
            with torch.enable_grad():
                score = (mine @ item.t()).detach().requires_grad_()
                value = loss(score, part) * (len(mine) / len(query))
            (slope,) = torch.autograd.grad(value, score)
            total += value.detach()
            torch.mm(slope, item, out=of_query[part])
            of_item.addmm_(slope.t(), mine)
        ctx.save_for_backward(of_query, of_item)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[None, Tensor, Tensor]:
        of_query, of_item = ctx.saved_tensors
        return None, slopes[0] * of_query, slopes[0] * of_item
