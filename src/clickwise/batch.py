"""`Batch`: the one typed thing that flows from the data to the models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B rows of encoded input.

    Args:
        sparse: [B, S] int32 table rows (`InputSpec` says which slots belong to which field); 0 is padding.
        dense: [B, N] float32.
        slot_weight: [B, S] float32 weights of the slots, or None when no field is weighted.
        label: [B] float32, 0 or 1; None when scoring.
        weight: [B] float32 sample weights; None counts as 1.
    """

    sparse: Tensor
    dense: Tensor
    slot_weight: Tensor | None = None
    label: Tensor | None = None
    weight: Tensor | None = None

    @classmethod
    def of(
        cls,
        sparse: np.ndarray,
        dense: np.ndarray,
        slot_weight: np.ndarray | None = None,
        label: np.ndarray | None = None,
        weight: np.ndarray | None = None,
    ) -> Batch:
        """A batch of NumPy arrays, without a copy where they are contiguous already."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array))

        optional = (None if array is None else tensor(array) for array in (slot_weight, label, weight))
        return cls(tensor(sparse), tensor(dense), *optional)

    def __len__(self) -> int:
        return self.sparse.shape[0]

    @cached_property
    def distinct(self) -> tuple[Tensor, Tensor]:
        """The distinct table rows of the batch, sorted [U], and for each slot the position of its row there [B, S].

        Found once a batch and shared by all tables of a model. A reader thread may ask for it ahead of time.
        """
        values, order = self._sorted_slots
        starts = self.slots_by_row[1]
        steps = torch.zeros_like(values)
        steps[starts[1:]] = 1
        inverse = torch.empty_like(values)
        inverse[order] = steps.cumsum(0, dtype=values.dtype)
        return values[starts], inverse.view_as(self.sparse)

    @cached_property
    def slots_by_row(self) -> tuple[Tensor, Tensor]:
        """The slots [B * S], flat, in the order of their table rows, and where each distinct row begins there [U]."""
        values, order = self._sorted_slots
        first = torch.ones(len(values), dtype=torch.bool)
        torch.ne(values[1:], values[:-1], out=first[1:])
        return order, first.nonzero().squeeze(1)

    @cached_property
    def _sorted_slots(self) -> tuple[Tensor, Tensor]:
        """The table rows of all slots in ascending order [B * S], and where each stood. One sort serves both above."""
        return torch.sort(self.sparse.flatten(), stable=True)
