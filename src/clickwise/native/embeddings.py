"""Rows of tables, pooled to vectors: compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from clickwise.distinct import Distinct
from clickwise.native import kernels
from clickwise.native.tensors import array


def gather(table: Tensor, rows: Tensor) -> Tensor:
    """table[rows]: [V, D], [U] -> [U, D]."""
    found = table.new_empty(len(rows), table.shape[1])
    kernels().gather(array(table), array(rows), array(found))
    return found


def pool(table: Tensor, sparse: Tensor, vectors: Tensor, coefficients: Tensor | None) -> Tensor:
    """sum_{slots s of f} coefficients[b, s] * table[sparse[b, s]], without a gradient: [B, F, D].

    Args:
        table: [V, D].
        sparse: [B, S].
        vectors: [F + 1]; vector f is the slots from `vectors[f]` to `vectors[f + 1]`.
        coefficients: [B, S]; None counts as 1.
    """
    return _pool(table, sparse, False, vectors, coefficients)


class PoolDistinct(torch.autograd.Function):
    """The same from the distinct rows of a batch: compact [U, D] -> [B, F, D]. Padding gets no gradient."""

    @staticmethod
    def forward(ctx: Any, compact: Tensor, distinct: Distinct, vectors: Tensor, coefficients: Tensor | None) -> Tensor:
        ctx.distinct, ctx.vectors, ctx.coefficients = distinct, vectors, coefficients
        return _pool(compact, distinct.inverse, True, vectors, coefficients)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        d, grad = ctx.distinct, gradients[0]
        gradient = grad.new_empty(len(d.rows), grad.shape[2])
        of_slots = (array(d.inverse), array(d.groups), array(d.starts), array(ctx.vectors), _optional(ctx.coefficients))
        kernels().pool_backward(array(grad), *of_slots, array(gradient))
        return gradient, None, None, None


def _pool(table: Tensor, positions: Tensor, by_slot: bool, vectors: Tensor, coefficients: Tensor | None) -> Tensor:
    """`positions` are [S, B] where they are `by_slot`, else [B, S]."""
    out = table.new_empty(positions.shape[1 if by_slot else 0], len(vectors) - 1, table.shape[1])
    given = (array(table), array(positions), by_slot, array(vectors), _optional(coefficients))
    kernels().pool_forward(*given, array(out))
    return out


def _optional(tensor: Tensor | None) -> Any:
    return None if tensor is None else array(tensor)
