"""Compiled attention: against the paper's equations row by row in float64, and its layer against torch's autograd."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from clickwise.layers import SelfAttention
from clickwise.native import kernels, set_threads
from clickwise.native.precision import Precision, using

SIZES = [  # B, M, H, d: groups of rows that are full or not, and more than one task; vectors that fill registers or not
    (1, 1, 1, 1),
    (3, 2, 1, 5),
    (9, 5, 2, 8),
    (17, 39, 2, 32),
    (4, 16, 3, 16),
    (2, 33, 1, 17),
    (3, 47, 1, 64),
    (2, 131, 2, 3),
    (1030, 1, 2, 2),
    (61, 43, 1, 1),
    (0, 3, 2, 4),
    (3, 0, 2, 4),
]
sizes = pytest.mark.parametrize(("B", "M", "H", "d"), SIZES)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    yield
    set_threads(1)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def naive(mapped: np.ndarray, H: int) -> np.ndarray:
    """[B, M, 4, H, d] -> [B, M, H d], one number of the paper's equations at a time."""
    B, M, _, _, d = mapped.shape
    out = np.zeros((B, M, H * d))
    for b in range(B):
        for h in range(H):
            query, key, value, residual = (mapped[b, :, part, h].astype(np.float64) for part in range(4))
            for m in range(M):
                shares = softmax(np.array([query[m] @ key[other] for other in range(M)]))
                total = residual[m] + sum(shares[other] * value[other] for other in range(M))
                out[b, m, h * d : (h + 1) * d] = np.maximum(total, 0.0)
    return out


def draw(B: int, M: int, H: int, d: int, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(M).normal(size=(B, M, 4, H, d)) * scale).astype(np.float32)


def forward(mapped: np.ndarray, H: int) -> np.ndarray:
    """With an identity for W, so that x are the queries, keys, values and residuals themselves."""
    out = np.empty((*mapped.shape[:2], H * mapped.shape[4]), np.float32)
    weight = np.eye(4 * out.shape[2], dtype=np.float32)
    kernels().attention_forward(mapped.reshape(*mapped.shape[:2], len(weight)), weight, H, False, out)
    return out


@sizes
def test_forward(isa: str, B: int, M: int, H: int, d: int) -> None:
    mapped = draw(B, M, H, d)
    np.testing.assert_allclose(forward(mapped, H), naive(mapped, H), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("scale", [1e-3, 8.0, 300.0])
def test_scores_of_any_size(isa: str, scale: float) -> None:
    """Of tiny scores all shares are alike; of huge ones all but one are zero, and nothing overflows."""
    mapped = draw(5, 7, 2, 6, scale)
    np.testing.assert_allclose(forward(mapped, 2), naive(mapped, 2), rtol=1e-4, atol=1e-4 * scale)


def test_shares_fall_with_the_exponential(isa: str) -> None:
    """Of two vectors whose scores differ by x the second gets 1 / (1 + e^x): its value, 1, comes out in that share."""
    for x in np.linspace(0.0, 80.0, 401, dtype=np.float32):
        mapped = np.zeros((1, 2, 4, 1, 1), np.float32)
        mapped[0, :, 0], mapped[0, 0, 1], mapped[0, 1, 2] = 1.0, x, 1.0
        np.testing.assert_allclose(forward(mapped, 1).ravel(), 1 / (1 + np.exp(np.float64(x))), rtol=3e-7)


def test_what_is_no_number_stays_none(isa: str) -> None:
    for place in range(3):
        mapped = draw(2, 5, 1, 4)
        mapped[0, place, 1, 0, 2] = np.nan
        out = forward(mapped, 1)
        assert not np.isfinite(out[0]).any()  # every query meets that key
        assert np.isfinite(out[1]).all()


def run(layer: SelfAttention, x: Tensor) -> list[Tensor]:
    """Output, gradients of the input and of the weights."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    out = layer(x)
    out.backward(torch.sin(torch.arange(out.numel(), dtype=out.dtype)).view_as(out))
    assert x.grad is not None and layer.weight.grad is not None
    return [out.detach(), x.grad, layer.weight.grad.clone()]


def layer_and_rows(B: int, M: int, H: int, d: int) -> tuple[SelfAttention, Tensor]:
    torch.manual_seed(B)
    return SelfAttention(6, H, d), torch.randn(B, M, 6) * 1.5


@sizes
def test_the_layer(isa: str, B: int, M: int, H: int, d: int) -> None:
    layer, x = layer_and_rows(B, M, H, d)
    found, exact = run(layer, x), run(layer.double(), x.double())
    for a, b in zip(found, exact, strict=True):
        assert a.dtype is torch.float32
        largest = float(b.abs().max()) if b.numel() else 0.0
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * max(1.0, largest))


def test_bf16_rounds_operands_of_the_maps_in_both_passes(isa: str) -> None:
    layer, x = layer_and_rows(20, 7, 2, 8)
    exact = run(layer, x)
    with using("bf16"):
        rounded = run(layer, x)
    for a, b in zip(rounded, exact, strict=True):
        assert 1e-4 < (a - b).norm() / b.norm() < 0.05


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_threads_change_nothing(isa: str, precision: Precision) -> None:
    layer, x = layer_and_rows(300, 9, 2, 8)  # three tasks
    with using(precision):
        alone = run(layer, x)
        for threads in (2, 3):
            set_threads(threads)
            for a, b in zip(run(layer, x), alone, strict=True):
                assert torch.equal(a, b)


def test_what_a_call_leaves_in_memory_enters_no_other(isa: str) -> None:
    layer, x = layer_and_rows(9, 5, 2, 3)
    alone = run(layer, x)
    larger, rows = layer_and_rows(40, 7, 2, 8)
    run(larger, torch.full_like(rows, torch.nan))
    for a, b in zip(run(layer, x), alone, strict=True):
        assert torch.equal(a, b)


def test_shapes_are_checked(isa: str) -> None:
    x, weight, out = np.zeros((2, 3, 5), np.float32), np.zeros((24, 5), np.float32), np.zeros((2, 3, 6), np.float32)
    with pytest.raises(ValueError, match=r"the weight is not \[4 H d, D\]"):
        kernels().attention_forward(x, weight, 4, False, out)
    with pytest.raises(ValueError, match=r"x is not \[B, M, D\]"):
        kernels().attention_forward(out, weight, 2, False, out)
    with pytest.raises(ValueError, match=r"out is not \[B, M, H d\]"):
        kernels().attention_forward(x, weight, 2, False, out[:1])
    with pytest.raises(ValueError, match=r"grad_out is not \[B, M, H d\]"):
        kernels().attention_backward(x, weight, 2, False, out, out[:1], x, weight)
    with pytest.raises(ValueError, match=r"grad_x is not \[B, M, D\]"):
        kernels().attention_backward(x, weight, 2, False, out, out, x[:1], weight)
    with pytest.raises(ValueError, match=r"grad_weight is not \[4 H d, D\]"):
        kernels().attention_backward(x, weight, 2, False, out, out, x, weight[:1])
