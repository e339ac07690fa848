"""One table of rows that only ever pays for the rows a batch touches."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.schema import PADDING_ROW


class EmbeddingTable(nn.Module):
    """A table [V, D] whose gradient is never dense: nothing in a step costs O(V).

    In training, `lookup` gathers each distinct row of the batch once into a leaf [U, D]; the backward pass sums the
    gradients of equal rows there, and `take_gradients` hands rows and sums to the optimiser, which updates these rows
    in place. The weight itself has `requires_grad=False`.

    **This pair, `lookup` and the update of rows, is the one place where compiled kernels replace torch.** Keep it
    narrow: models and layers know only `lookup`, optimisers only `take_gradients` and `weight`.

    Args:
        num_rows: V, row `PADDING_ROW` included; it is zero and stays so.
        dim: D.
        init_std: rows start as N(0, init_std^2); 0 gives zeros.
    """

    def __init__(self, num_rows: int, dim: int, init_std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_rows, dim), requires_grad=False)
        if init_std > 0.0:
            nn.init.normal_(self.weight, 0.0, init_std)
        self.weight[PADDING_ROW] = 0.0
        self._looked_up: list[tuple[Tensor, Tensor]] = []

    def lookup(self, batch: Batch) -> Tensor:
        """The rows of all slots: [B, S, D]."""
        if not (self.training and torch.is_grad_enabled()):
            return F.embedding(batch.sparse, self.weight)
        rows, inverse = batch.distinct
        gathered = self.weight.index_select(0, rows).requires_grad_()
        self._looked_up.append((rows, gathered))
        order, starts = batch.slots_by_row
        return _Expand.apply(gathered, inverse, order, starts)

    def take_gradients(self) -> tuple[Tensor, Tensor]:
        """Distinct rows looked up since the last call [U], without padding, and the sums of their gradients [U, D]."""
        pairs = [_without_padding(rows, leaf.grad) for rows, leaf in self._looked_up if leaf.grad is not None]
        self._looked_up.clear()
        if len(pairs) == 1:
            return pairs[0]
        rows = torch.cat([rows for rows, _ in pairs] or [torch.empty(0, dtype=torch.int32)])
        distinct, inverse = torch.unique(rows, return_inverse=True)
        total = self.weight.new_zeros(len(distinct), self.weight.shape[1])
        for gradient, where in zip((g for _, g in pairs), inverse.split([len(r) for r, _ in pairs]), strict=True):
            total.index_add_(0, where, gradient)
        return distinct, total

    def drop_gradients(self) -> None:
        """Forget what was looked up since the last step."""
        self._looked_up.clear()

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class _Expand(torch.autograd.Function):
    """gathered[inverse], with a backward pass that sums the slots of each row in their order: fast, and the same bits
    for any number of threads. torch's own backward of an embedding takes 10 to 20 times as long on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, gathered: Tensor, inverse: Tensor, order: Tensor, starts: Tensor) -> Tensor:
        ctx.save_for_backward(order, starts)
        return F.embedding(inverse, gathered)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        order, starts = ctx.saved_tensors
        flat = gradients[0].reshape(-1, gradients[0].shape[-1])
        return F.embedding_bag(order, flat, starts, mode="sum"), None, None, None


def _without_padding(rows: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Rows are sorted, so padding can only be the first."""
    first = int(len(rows) > 0 and int(rows[0]) == PADDING_ROW)
    return rows[first:], gradient[first:]
