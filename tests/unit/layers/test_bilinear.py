"""Bilinear pairs as torch makes them: their own backward pass, and their slabs. No kernel takes float64."""

from __future__ import annotations

import pytest
import torch

from clickwise.layers import BilinearInteraction, bilinear


@pytest.mark.parametrize("kind", ["all", "each", "interaction"])
@pytest.mark.parametrize("products_at_once", [30, 2**20])
def test_gradients_are_those_of_finite_differences(kind, products_at_once, monkeypatch):
    monkeypatch.setattr(bilinear, "_PRODUCTS_AT_ONCE", products_at_once)
    torch.manual_seed(2)
    layer = BilinearInteraction(4, 2, kind).double()
    vectors = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    gates = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def with_weight(vectors, gates, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (vectors, gates))

    assert torch.autograd.gradcheck(with_weight, (vectors, gates, layer.weight))


def test_slabs_are_all_rows_once(monkeypatch):
    layer = BilinearInteraction(4, 3, "interaction").double()
    vectors, gates = torch.randn(11, 4, 3, dtype=torch.float64), torch.rand(11, 4, dtype=torch.float64)
    whole = layer(vectors, gates)
    seen = []
    lefts = bilinear._lefts
    monkeypatch.setattr(bilinear, "_PRODUCTS_AT_ONCE", 2 * 6 * 3)
    monkeypatch.setattr(bilinear, "_lefts", lambda v, matrices: seen.append(len(v)) or lefts(v, matrices))
    torch.testing.assert_close(layer(vectors, gates), whole)
    assert seen == [2, 2, 2, 2, 2, 1]
