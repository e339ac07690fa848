"""Compiled pairs: against the paper's formula pair by pair in float64, and its layer against torch's autograd."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from clickwise.layers import BilinearInteraction, BilinearKind
from clickwise.native import kernels, set_threads
from clickwise.native.precision import using

# B, F, D. Slabs have 64 rows; gradients of W are summed over 256 rows, and 16 times as many at a time.
SIZES = [(1, 2, 1), (3, 2, 5), (7, 5, 3), (65, 4, 16), (130, 6, 17), (70, 9, 32), (300, 3, 20), (4200, 3, 2), (0, 3, 4)]
sizes = pytest.mark.parametrize(("B", "F", "D"), SIZES)
kinds = pytest.mark.parametrize("kind", ["all", "each", "interaction"])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    yield
    set_threads(1)


def layer_and_rows(B: int, F: int, D: int, kind: BilinearKind) -> tuple[BilinearInteraction, Tensor, Tensor]:
    torch.manual_seed(B)
    return BilinearInteraction(F, D, kind), torch.randn(B, F, D), torch.randn(B, F)


def naive(layer: BilinearInteraction, vectors: Tensor, gates: Tensor) -> np.ndarray:
    """[B, 2 P D], one pair after the other."""
    v, a, weight = (t.detach().numpy().astype(np.float64) for t in (vectors, gates, layer.weight))
    B, F, D = v.shape
    pairs = [(f, g) for f in range(F) for g in range(f + 1, F)]
    p, q = np.zeros((B, len(pairs), D)), np.zeros((B, len(pairs), D))
    for i, (f, g) in enumerate(pairs):
        w = weight[{"all": 0, "each": f, "interaction": i}[layer.kind]]
        p[:, i] = (v[:, f] @ w) * v[:, g]
        q[:, i] = ((a[:, f, None] * v[:, f]) @ w) * (a[:, g, None] * v[:, g])
    return np.concatenate([p.reshape(B, len(pairs) * D), q.reshape(B, len(pairs) * D)], 1)


def run(layer: BilinearInteraction, vectors: Tensor, gates: Tensor) -> list[Tensor]:
    """Output, gradients of the vectors, the gates and the matrices."""
    inputs = [vectors.clone().requires_grad_(), gates.clone().requires_grad_(), layer.weight]
    out = layer(*inputs[:2])
    weight = torch.sin(torch.arange(out.numel(), dtype=out.dtype)).view_as(out)
    return [out.detach(), *torch.autograd.grad(out, inputs, weight)]


@sizes
@kinds
def test_forward(isa: str, B: int, F: int, D: int, kind: BilinearKind) -> None:
    layer, vectors, gates = layer_and_rows(B, F, D, kind)
    with torch.no_grad():
        found = layer(vectors, gates).numpy()
    np.testing.assert_allclose(found, naive(layer, vectors, gates), rtol=1e-4, atol=2e-5)


@sizes
@kinds
def test_the_layer(isa: str, B: int, F: int, D: int, kind: BilinearKind) -> None:
    layer, vectors, gates = layer_and_rows(B, F, D, kind)
    with using("bf16"):  # which changes nothing here
        found = run(layer, vectors, gates)
    exact = run(layer.double(), vectors.double(), gates.double())
    for a, b in zip(found, exact, strict=True):
        assert a.dtype is torch.float32 and a.shape == b.shape
        largest = float(b.abs().max()) if b.numel() else 0.0
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=3e-6 * max(1.0, largest))


@pytest.mark.parametrize("D", [16, 12])
def test_a_result_that_no_cache_holds_is_the_same(isa: str, D: int) -> None:
    """Over 32 MB it is written past the caches."""
    layer, vectors, gates = layer_and_rows(600, 39, D, "interaction")
    out, *_ = run(layer, vectors, gates)
    assert out.nbytes > 2**25
    for rows in (slice(0, 100), slice(100, 600)):
        part, *_ = run(layer, vectors[rows], gates[rows])
        assert torch.equal(out[rows], part)


@kinds
def test_gradients_that_nobody_asks_for_change_no_other(isa: str, kind: BilinearKind) -> None:
    layer, vectors, gates = layer_and_rows(90, 5, 6, kind)
    everything = run(layer, vectors, gates)[1:]
    for wanted in range(3):
        inputs = [vectors.clone(), gates.clone(), layer.weight.detach()]
        inputs[wanted].requires_grad_()
        out = torch.func.functional_call(layer, {"weight": inputs[2]}, (inputs[0], inputs[1]))
        weight = torch.sin(torch.arange(out.numel(), dtype=out.dtype)).view_as(out)
        (found,) = torch.autograd.grad(out, inputs[wanted], weight)
        assert torch.equal(found, everything[wanted])


@kinds
def test_threads_change_nothing(isa: str, kind: BilinearKind) -> None:
    layer, vectors, gates = layer_and_rows(1100, 7, 9, kind)
    set_threads(1)
    alone = run(layer, vectors, gates)
    for count in (2, 3):
        set_threads(count)
        for a, b in zip(run(layer, vectors, gates), alone, strict=True):
            assert torch.equal(a, b)


def test_strided_inputs(isa: str) -> None:
    layer, vectors, gates = layer_and_rows(40, 4, 8, "each")
    wanted = run(layer, vectors, gates)
    strided = torch.stack([vectors, vectors], 3)[..., 0], torch.stack([gates, gates], 2)[..., 0]
    for a, b in zip(run(layer, *strided), wanted, strict=True):
        assert torch.equal(a, b)


def test_what_is_no_number_stays_none(isa: str) -> None:
    layer, vectors, gates = layer_and_rows(3, 4, 5, "interaction")
    vectors[1, 2, 3] = float("nan")
    found = layer(vectors, gates).view(3, 2, 6, 5)
    assert found[[0, 2]].isfinite().all()
    assert (
        found[1, :, 5].isnan().all()
        and found[1, :, [1, 3], 3].isnan().all()
        and found[1, :, [0, 2, 4]].isfinite().all()
    )


def test_kernels_are_used(isa: str) -> None:
    """The other tests would pass without them."""
    layer, vectors, gates = layer_and_rows(2, 3, 4, "all")
    assert type(layer(vectors, gates).grad_fn).__name__ == "BilinearPairsBackward"


def test_shapes_are_checked(isa: str) -> None:
    v, a, w, pairs = (np.zeros(shape, np.float32) for shape in [(2, 4, 3), (2, 4), (6, 3, 3), (2, 36)])
    with pytest.raises(ValueError, match="there are no pairs"):
        kernels().bilinear_forward(v[:, :1].copy(), a[:, :1].copy(), w, pairs)
    with pytest.raises(ValueError, match=r"gates are not \[B, F\]"):
        kernels().bilinear_forward(v, a[:1], w, pairs)
    with pytest.raises(ValueError, match="not a matrix for all, for each f or each pair"):
        kernels().bilinear_forward(v, a, w[:2], pairs)
    with pytest.raises(ValueError, match=r"pairs are not \[B, 2 P D\]"):
        kernels().bilinear_backward(v, a, w, pairs[:1], None, None, None)
    with pytest.raises(ValueError, match="grad_weight is not as weight"):
        kernels().bilinear_backward(v, a, w, pairs, None, None, w[:3].copy())
