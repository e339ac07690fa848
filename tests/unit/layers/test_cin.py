"""The compressed interaction network: its own backward pass, its slabs, its precision."""

from __future__ import annotations

import pytest
import torch

from clickwise.layers import CIN, cin
from clickwise.native.precision import using


def values_and_gradients(layer: CIN, vectors: torch.Tensor) -> list[torch.Tensor]:
    vectors = vectors.clone().requires_grad_()
    layer.zero_grad()
    out = layer(vectors)
    out.backward(torch.linspace(-1.0, 1.0, out.numel(), dtype=out.dtype).view_as(out))
    return [out.detach(), vectors.grad, *(w.grad.clone() for w in layer.weights)]


@pytest.mark.parametrize("dims", [(3,), (4, 3), (4, 3, 2)])
@pytest.mark.parametrize("products_at_once", [1, 50, 2**20])
def test_gradients_are_those_of_finite_differences(dims, products_at_once, monkeypatch):
    monkeypatch.setattr(cin, "_PRODUCTS_AT_ONCE", products_at_once)
    torch.manual_seed(2)
    layer = CIN(3, dims).double()
    vectors = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def with_weights(vectors, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (vectors,))

    assert torch.autograd.gradcheck(with_weights, (vectors, *layer.parameters()))


@pytest.mark.parametrize("dims", [(4, 3), (4, 3, 2)])
def test_bf16_rounds_operands_in_both_passes(dims):
    torch.manual_seed(3)
    layer, vectors = CIN(5, dims), torch.randn(40, 5, 4)
    exact = values_and_gradients(layer, vectors)
    with using("bf16"):
        rounded = values_and_gradients(layer, vectors)
    for a, b in zip(rounded, exact, strict=True):
        assert 1e-5 < (a - b).norm() / b.norm() < 0.02


def test_no_more_products_than_a_slab_exist_at_once(monkeypatch):
    made = []
    products = cin._products
    monkeypatch.setattr(cin, "_PRODUCTS_AT_ONCE", 1000)
    monkeypatch.setattr(cin, "_products", lambda *maps: made.append(products(*maps)) or made[-1])
    values_and_gradients(CIN(5, (6, 4, 2)), torch.randn(40, 5, 4))
    assert sum(p.numel() for p in made) == 2 * 160 * (15 + 30)  # each product once in each pass
    assert max(p.numel() for p in made) <= 1000
