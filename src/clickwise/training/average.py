"""The average of a run's weights over its validations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from clickwise.atomic import disk_errors

_AT_ONCE = 2**20
"""Numbers that are copied aside at one time while average and weights change places."""
_LINE = 64
"""Bytes; every average begins at a multiple."""


class AverageWeights:
    """a_1 = w_1, a_n = d_n a_{n-1} + (1 - d_n) w_n, d_n = min(decay, (1 + n) / (10 + n)), of weights w_n when taken.

    At first, while weights grow, the average follows them closely. It is of all floats in the model's `state_dict`,
    running statistics of batch normalisation included. Taking and exchanging cost O(V), steps nothing. The averages are
    in a file, mapped: like the best weights they need no memory that the system could not have back.

    Reference: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization"; here older
    weights count less and less, so that the beginning is forgotten.

    Args:
        model: the model.
        decay: in (0, 1).
        folder: for the file.

    Raises:
        DataError: the disk is full or cannot be written to.
    """

    def __init__(self, model: nn.Module, decay: float, folder: Path) -> None:
        self._decay = decay
        floats = {n: t for n, t in model.state_dict().items() if t.is_floating_point() and t.numel()}
        by_memory = {t.data_ptr(): n for n, t in floats.items()}  # a weight that has two names has one average
        self._weights = {n: floats[n] for n in by_memory.values()}
        self._averages = _mapped(self._weights, folder / "average.bin")
        self._taken, self._step = torch.zeros((), dtype=torch.int64), torch.zeros((), dtype=torch.int64)

    def state(self) -> dict[str, Tensor]:
        """All that a checkpoint needs; the tensors are the live ones, not copies."""
        return {**{f"average.{n}": t for n, t in self._averages.items()}, "taken": self._taken, "step": self._step}

    @property
    def taken(self) -> int:
        """How many weights are in the average."""
        return int(self._taken)

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Let the model's weights into the average.

        A second time after the same step does nothing, so that an interrupted validation can be made again.
        """
        if int(self._step) == step:
            return
        self._taken += 1
        decay = min(self._decay, (1 + self.taken) / (10 + self.taken)) if self.taken > 1 else 0.0
        for name, average in self._averages.items():
            average.lerp_(self._weights[name], 1.0 - decay)
        self._step.fill_(step)

    @torch.no_grad()
    def exchange(self) -> None:
        """Average and weights change places: the model has the average; called again, its weights as they were."""
        for name, average in self._averages.items():
            weights, others = torch.atleast_1d(self._weights[name]), torch.atleast_1d(average)
            rows = max(1, _AT_ONCE * len(others) // others.numel())
            for weight, other in zip(weights.split(rows), others.split(rows), strict=True):
                aside = weight.clone()
                weight.copy_(other)
                other.copy_(aside)


def _mapped(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Zeros of the same shapes and types, in a new file."""
    room = {name: -(-t.nbytes // _LINE) * _LINE for name, t in tensors.items()}
    with disk_errors(path), path.open("wb") as file:
        os.posix_fallocate(
            file.fileno(), 0, sum(room.values())
        )  # so that a full disk says so here, and not by a signal
    memory = torch.from_file(str(path), shared=True, size=sum(room.values()), dtype=torch.uint8)
    parts = zip(tensors.items(), memory.split(list(room.values())), strict=True)
    return {name: part[: t.nbytes].view(t.dtype).view(t.shape) for (name, t), part in parts}
