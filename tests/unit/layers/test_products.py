"""Products of pairs of vectors, by hand, and the backward pass of the field-aware ones."""

from __future__ import annotations

import torch

from clickwise.layers import bi_interaction, field_aware_pairs, inner_products, outer_product

VECTORS = torch.tensor([[[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]]])


def test_by_hand():
    assert inner_products(VECTORS).tolist() == [[1.0, 8.5, -2.5]]  # (0, 1), (0, 2), (1, 2)
    assert bi_interaction(VECTORS).tolist() == [[5.0, 2.0]]
    assert outer_product(VECTORS).tolist() == [[20.25, 22.5, 22.5, 25.0]]  # of s = (4.5, 5)


def test_field_aware_pairs_by_hand():
    """v_{0,1} = (1, 2), v_{1,0} = (3, -1): 1; what the fields have for themselves counts nothing."""
    vectors = torch.tensor([[[[9.0, 9.0], [1.0, 2.0]], [[3.0, -1.0], [7.0, 7.0]]]])
    assert field_aware_pairs(vectors).tolist() == [1.0]


def test_gradient_of_field_aware_pairs():
    torch.manual_seed(1)
    vectors = torch.randn(3, 4, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(field_aware_pairs, (vectors,))
    field_aware_pairs(vectors).sum().backward()
    assert not vectors.grad.diagonal(dim1=1, dim2=2).any()
