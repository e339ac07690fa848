"""Tensors as the kernels see them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from clickwise.native import Tier, kernels, tier

_HUGE_BYTES = 2**30
_LARGE_BYTES = 2**26


def recorded() -> bool:
    """Whether torch only records what is computed, to export it for any number of rows.

    It knows no kernels, and a loop over slabs of rows would be one over those of this batch.
    """
    return torch.compiler.is_compiling()


def compiled(needed: Tier, *tensors: Tensor) -> bool:
    """Whether kernels of this tier are in use and can take these tensors: float32 in memory of the processor."""
    return (
        tier() >= needed
        and not recorded()
        and all(t.dtype is torch.float32 and t.device.type == "cpu" for t in tensors)
    )


def dropout_seed() -> int:
    """A new seed, drawn from torch's generator, so that a run resumed from a checkpoint drops the same."""
    return int(torch.randint(2**63 - 1, ()))


def array(tensor: Tensor) -> np.ndarray:
    """The tensor's own memory as an array, or that of a dense copy when it is strided."""
    return tensor.detach().contiguous().numpy()


def in_huge_pages(tensor: Tensor) -> Tensor:
    """Ask the system for huge pages under this new, empty tensor when it is over 1 GiB: random rows of it are then read
    twice as fast. A wish: nothing happens where there are no kernels or no such pages.
    """
    if tensor.nbytes > _HUGE_BYTES and compiled(Tier.EMBEDDINGS, tensor):
        kernels().advise_huge_pages(tensor.view(-1).numpy())
    return tensor


def new_result(like: Tensor, *shape: int) -> Tensor:
    """An empty tensor for what a kernel writes; over 64 MiB in huge pages, which `freed_memory_kept` keeps.

    To clear new memory page by page takes longer than most kernels, and the allocator of the C library cuts up what it
    keeps: soon no hole is large enough.
    """
    count = math.prod(shape)
    if count * 4 > _LARGE_BYTES and compiled(Tier.EMBEDDINGS, like):
        return torch.from_numpy(kernels().large_floats(count)).view(shape)
    return like.new_empty(shape)
