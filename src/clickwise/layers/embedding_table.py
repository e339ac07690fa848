"""One table of rows that only ever pays for the rows a batch touches."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.distinct import Distinct
from clickwise.layers.pooling import Pooling
from clickwise.native import Tier, embeddings
from clickwise.native.tensors import compiled, in_huge_pages
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
        self.weight = nn.Parameter(in_huge_pages(torch.empty(num_rows, dim)), requires_grad=False)
        if init_std > 0.0:
            nn.init.normal_(self.weight, 0.0, init_std)
        else:
            nn.init.zeros_(self.weight)
        self.weight[PADDING_ROW] = 0.0
        self._looked_up: list[tuple[Tensor, Tensor]] = []

    def lookup(self, batch: Batch, pooling: Pooling | None = None) -> Tensor:
        """The vectors of the batch [B, F, D]; without a pooling the rows of all slots [B, S, D].

        Raises:
            IndexError: an id is not below V.
        """
        how = pooling or Pooling.none(batch.sparse.shape[1])
        sparse = batch.first_slots(how.num_slots)
        coefficients = how.coefficients(batch, self.weight.dtype)
        fast = compiled(Tier.EMBEDDINGS, self.weight)
        if not (self.training and torch.is_grad_enabled()):
            if fast:
                return embeddings.pool(self.weight, sparse, how.starts, coefficients)
            return how.pool(F.embedding(sparse, self.weight), coefficients)
        distinct = batch.distinct_of(how.groups)
        gather = embeddings.gather if fast else _gather
        compact = gather(self.weight, distinct.rows).requires_grad_()
        self._looked_up.append((distinct.rows, compact))
        if fast:
            return embeddings.PoolDistinct.apply(compact, distinct, how.starts, coefficients)
        return how.pool(_Expand.apply(compact, distinct), coefficients)

    def take_gradients(self) -> tuple[Tensor, Tensor]:
        """Distinct rows looked up since the last call [U], without padding, and the sums of their gradients [U, D]."""
        pairs = [(rows[1:], leaf.grad[1:]) for rows, leaf in self._looked_up if leaf.grad is not None]
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


def _gather(table: Tensor, rows: Tensor) -> Tensor:
    return table.index_select(0, rows)


class _Expand(torch.autograd.Function):
    """The rows of all slots [B, S, D] from the distinct ones [U, D], with a backward pass that sums the slots of each
    row in their order: fast, and the same bits for any number of threads. torch's own backward of an embedding takes
    10 to 20 times as long on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, compact: Tensor, distinct: Distinct) -> Tensor:
        ctx.distinct = distinct
        return F.embedding(distinct.inverse.t(), compact)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        order, begins = ctx.distinct.slots_by_row
        flat = gradients[0].reshape(-1, gradients[0].shape[-1])
        return F.embedding_bag(order, flat, begins, mode="sum"), None
