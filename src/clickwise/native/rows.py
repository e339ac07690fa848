"""Rows of a table, pooled to vectors, of arrays: for those who have no torch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from clickwise.native import Tier, kernels, tier


def pooled(table: np.ndarray, sparse: np.ndarray, starts: np.ndarray, coefficients: np.ndarray | None) -> np.ndarray:
    """sum_{slots s of f} coefficients[b, s] * table[sparse[b, s]]: [B, F, D] float32.

    Args:
        table: [V, D] float32.
        sparse: [B, S] int32.
        starts: [F + 1] int32; vector f is the slots from `starts[f]` to `starts[f + 1]`.
        coefficients: [B, S] float32; None counts as 1.

    Raises:
        IndexError: a row is not below V.
    """
    if tier() is Tier.TORCH:
        return _pooled(table, sparse, starts, coefficients)
    out = np.empty((len(sparse), len(starts) - 1, table.shape[1]), np.float32)
    dense = None if coefficients is None else np.ascontiguousarray(coefficients)
    kernels().pool_forward(table, np.ascontiguousarray(sparse), False, starts, dense, out)
    return out


def _pooled(table: np.ndarray, sparse: np.ndarray, starts: np.ndarray, coefficients: np.ndarray | None) -> np.ndarray:
    rows = table[sparse]
    if coefficients is not None:
        rows = rows * coefficients[:, :, None]
    sums = [rows[:, first:last].sum(1) for first, last in pairwise(starts.tolist())]
    return np.stack(sums, 1) if sums else np.zeros((len(sparse), 0, table.shape[1]), np.float32)
