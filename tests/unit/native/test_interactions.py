"""Pairs of embeddings against the double sum of the paper in float64."""

from __future__ import annotations

import numpy as np
import pytest

from clickwise.native import kernels


def naive(v: np.ndarray) -> np.ndarray:
    fields = range(v.shape[1])
    return sum((v[:, f] * v[:, g]).sum(1) for f in fields for g in fields if f < g) + np.zeros(len(v))


@pytest.mark.parametrize(("B", "F", "D"), [(1, 1, 1), (3, 2, 5), (130, 7, 16), (65, 39, 16), (64, 4, 33), (0, 3, 8)])
def test_fm(isa: str, B: int, F: int, D: int) -> None:
    rng = np.random.default_rng(B)
    v, g = rng.normal(size=(B, F, D)).astype(np.float32), rng.normal(size=B).astype(np.float32)
    out, total, gradient = np.empty(B, np.float32), np.empty((B, D), np.float32), np.empty_like(v)
    kernels().fm_forward(v, out, total)
    kernels().fm_backward(g, v, total, gradient)
    exact = v.astype(np.float64)
    others = exact.sum(1, keepdims=True) - exact
    np.testing.assert_allclose(out, naive(exact), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(gradient, g[:, None, None] * others, rtol=1e-5, atol=1e-5)


def test_shapes_are_checked(isa: str) -> None:
    v = np.zeros((4, 3, 2), np.float32)
    with pytest.raises(ValueError, match=r"out is not \[B\]"):
        kernels().fm_forward(v, np.zeros(3, np.float32), np.zeros((4, 2), np.float32))
