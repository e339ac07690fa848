"""Update rules, compiled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from clickwise.native import kernels


def update(
    rule: str,
    scalars: Sequence[float],
    weight: Tensor,
    state: Sequence[Tensor],
    rows: Tensor | None,
    grad: Tensor,
    l2: float = 0.0,
) -> None:
    """One step of an update rule, in place on `weight` and `state`, all of them dense in memory.

    Args:
        rule: its name there, and what it takes: kernels/updates.hpp.
        scalars: numbers of the rule.
        weight: a parameter of any shape; its first dimension is its rows.
        state: tensors of the rule.
        rows: [U] int32, all different; None is all rows in order.
        grad: of these rows.
        l2: l2 * weight is added to the gradient.
    """
    which = None if rows is None else rows.numpy()
    flat = [s.view(-1).numpy() for s in state]
    kernels().update(rule, scalars, _matrix(weight), flat, which, _matrix(grad), l2)


def _matrix(tensor: Tensor) -> np.ndarray:
    """[rows, elements of a row]; a vector or scalar has one element a row."""
    shape = (tensor.shape[0], math.prod(tensor.shape[1:])) if tensor.dim() > 1 else (tensor.numel(), 1)
    return tensor.detach().numpy().reshape(shape)
