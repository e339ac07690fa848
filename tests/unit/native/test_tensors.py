"""Memory for large results."""

from __future__ import annotations

import pytest
import torch

from clickwise.native import Tier, freed_memory_kept
from clickwise.native.tensors import new_result
from kernel_tiers import kernel_tier

LARGE = (20, 2**20)  # 80 MiB


@pytest.fixture(autouse=True)
def _compiled():
    with kernel_tier(Tier.DENSE):
        yield


def test_it_is_a_tensor_as_any_other():
    for shape in (LARGE, (3, 5), (0, 4)):
        result = new_result(torch.empty(0), *shape)
        assert result.shape == shape and result.dtype is torch.float32 and result.is_contiguous()
        result.fill_(2.0)
        assert float(result.sum()) == 2 * result.numel()


def test_what_is_freed_is_used_again_while_memory_is_kept():
    with freed_memory_kept():
        first, second = (new_result(torch.empty(0), *LARGE) for _ in range(2))
        addresses = {first.data_ptr(), second.data_ptr()}
        assert len(addresses) == 2
        view = first[3:5].fill_(7.0)
        del first
        other = new_result(torch.empty(0), *LARGE)
        assert other.data_ptr() not in addresses  # a view still holds the first
        del view, second
        again = new_result(torch.empty(0), LARGE[0] - 1, LARGE[1])
        assert again.data_ptr() in addresses
        rest = new_result(torch.empty(0), *LARGE)
        again.fill_(1.0)
        rest.fill_(3.0)
        assert float(again.max()) == 1.0
    assert float(rest.min()) == 3.0  # what is in use outlives the block


def test_what_no_kernel_takes_is_left_to_torch():
    result = new_result(torch.empty(0, dtype=torch.float64), 9, 2**20)
    assert result.dtype is torch.float64
