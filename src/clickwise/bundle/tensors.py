"""Tensors to and from safetensors files, without a second copy of them in memory."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors to a file.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    try:
        safetensors.torch.save_file({name: t.detach().contiguous() for name, t in tensors.items()}, path)
    except safetensors.SafetensorError as error:
        raise OSError(errno.EIO, str(error)) from None


@torch.no_grad()
def load_into(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy the tensors of a file into those of the same names, one at a time.

    Raises:
        ValueError: names or shapes differ.
        OSError, safetensors.SafetensorError: the file cannot be read or is damaged.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        names = set(file.keys())
        odd = sorted(names ^ tensors.keys())
        if odd:
            raise ValueError(f"{odd[0]!r} is only on one side")
        for name, tensor in tensors.items():
            saved = file.get_tensor(name)
            if saved.shape != tensor.shape or saved.dtype != tensor.dtype:
                raise ValueError(f"{name!r} is {list(saved.shape)}, expected {list(tensor.shape)}")
            tensor.copy_(saved)
