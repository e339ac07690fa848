from __future__ import annotations

import pytest
import torch

from clickwise.layers import TargetAttention


@pytest.mark.parametrize("softmax", [False, True])
def test_what_stands_in_slots_that_are_not_filled_does_not_matter(softmax: bool) -> None:
    torch.manual_seed(0)
    attend = TargetAttention(3, (5,), softmax=softmax)
    target, filled = torch.randn(4, 3), torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]).bool()
    keys = torch.randn(4, 3, 3).requires_grad_()
    out = attend(keys, target, filled)
    out.square().sum().backward()
    assert not out[1].any()
    assert not keys.grad[~filled].any()
    assert keys.grad[filled].all()
    other = torch.where(filled.unsqueeze(2), keys, torch.randn(4, 3, 3))
    torch.testing.assert_close(attend(other, target, filled), out)


def test_with_softmax_the_weights_of_a_row_add_up_to_one() -> None:
    torch.manual_seed(0)
    same = torch.randn(2, 1, 3).expand(2, 4, 3)
    filled = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    torch.testing.assert_close(TargetAttention(3, (5,), softmax=True)(same, torch.randn(2, 3), filled), same[:, 0])
