"""The weights of a model in a safetensors file.

A table of first-order weights [V, 1] that is mostly zeros, as FTRL's l1 leaves it, is stored as the rows that are not:
`<name>.rows` int32 [U], rising, and `<name>.values` float32 [U].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from clickwise.bundle.tensors import save_tensors
from clickwise.errors import BundleError
from clickwise.models import Ranker
from clickwise.schema import PADDING_ROW


def save_weights(model: Ranker, path: Path) -> None:
    """Write the weights of a model.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    state = dict(model.state_dict())
    for name in model.first_order_tables():
        weight = state[name].detach().flatten()
        rows = weight.view(torch.int32).nonzero().flatten()  # by its bits, so that what is loaded is the same
        if 2 * len(rows) < len(weight):
            del state[name]
            state[f"{name}.rows"], state[f"{name}.values"] = rows.int(), weight[rows]
    save_tensors(state, path)


def load_weights(path: Path, model: Ranker) -> None:
    """Give a model on the meta device the tensors of a file; names, types and shapes must fit exactly.

    They are views of the mapped file; who writes to one gets pages of its own, and the file stays as it is. A table
    that is stored as rows is laid out in memory.

    Raises:
        BundleError: the file cannot be read, or does not fit.
    """
    expected = model.state_dict()
    try:
        with safetensors.safe_open(path, framework="pt") as weights:
            given = set(weights.keys())
            pairs = {name: (f"{name}.rows", f"{name}.values") for name in model.first_order_tables()}
            pairs = {name: pair for name, pair in pairs.items() if given.issuperset(pair)}
            odd = sorted(given ^ {part for name in expected for part in pairs.get(name, (name,))})
            if odd:
                raise BundleError(f"{path}: tensor {odd[0]!r} does not belong to this model or is missing")
            state = {
                name: _sparse(path, weights, pairs[name], wanted)
                if name in pairs
                else _whole(path, weights, name, wanted)
                for name, wanted in expected.items()
            }
    except safetensors.SafetensorError as error:
        raise BundleError(f"{path}: cannot be read: {error}") from None
    model.load_state_dict(state, assign=True)


def _whole(path: Path, weights: Any, name: str, wanted: Tensor) -> Tensor:
    """A tensor of an open file, of the shape and type wanted."""
    shape = tuple(weights.get_slice(name).get_shape())
    if shape != tuple(wanted.shape):
        raise BundleError(f"{path}: tensor {name!r} has shape {shape}, the model wants {tuple(wanted.shape)}")
    found = weights.get_tensor(name)
    if found.dtype != wanted.dtype:
        raise BundleError(f"{path}: tensor {name!r} is {found.dtype}, the model wants {wanted.dtype}")
    return found


def _sparse(path: Path, weights: Any, names: tuple[str, str], wanted: Tensor) -> Tensor:
    """The table [V, 1] whose rows and values have these names in an open file."""
    rows, values = (weights.get_tensor(name) for name in names)
    here, last = f"{path}: tensors {names[0]!r} and {names[1]!r}", len(wanted) - 1
    if rows.dtype != torch.int32 or values.dtype != wanted.dtype:
        raise BundleError(f"{here} are {rows.dtype} and {values.dtype}, the model wants torch.int32 and {wanted.dtype}")
    if rows.dim() != 1 or rows.shape != values.shape:
        raise BundleError(f"{here} have shapes {tuple(rows.shape)} and {tuple(values.shape)}, not one length")
    at = rows.numpy()
    if len(at) and (at[0] <= PADDING_ROW or at[-1] > last or not (at[1:] > at[:-1]).all()):
        raise BundleError(f"{here} have rows that do not rise from 1 to {last} at most")
    table = np.zeros(tuple(wanted.shape), np.float32)  # pages that nobody writes to take no time and no memory
    table[at, 0] = values.numpy()
    return torch.from_numpy(table)
