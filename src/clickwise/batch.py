"""`Batch`: the one typed thing that flows from the data to the models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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

    def __len__(self) -> int:
        return self.sparse.shape[0]

    @cached_property
    def distinct(self) -> tuple[Tensor, Tensor]:
        """The distinct table rows of the batch, sorted [U], and for each slot the position of its row there [B, S].

        Found once a batch and shared by all tables of a model. A reader thread may ask for it ahead of time.
        """
        return torch.unique(self.sparse, return_inverse=True)
