"""`Batch`: the one typed thing that flows from the data to the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from clickwise.distinct import Distinct, find_by_sorting
from clickwise.native import Tier, tier
from clickwise.native.distinct import find_by_hashing


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

    def take(self, index: Tensor) -> Batch:
        """The rows `index` [n] int64, in that order."""
        return Batch(*(None if part is None else part[index] for part in self._parts()))  # type: ignore[arg-type]

    def part(self, slots: Sequence[int], dense: Sequence[int]) -> Batch:
        """These slots and dense features alone, of all rows (`InputSpec.places`)."""
        weight = None if self.slot_weight is None else self.slot_weight[:, slots]
        return Batch(self.sparse[:, slots], self.dense[:, dense], weight, self.label, self.weight)

    def followed_by(self, *others: Batch) -> Batch:
        """The rows of this batch, then those of others of the same parts."""
        parts = zip(*(batch._parts() for batch in (self, *others)), strict=True)
        return Batch(*(None if any(p is None for p in part) else torch.cat(part) for part in parts))  # type: ignore[arg-type]

    def _parts(self) -> tuple[Tensor | None, ...]:
        return self.sparse, self.dense, self.slot_weight, self.label, self.weight

    def distinct_of(self, groups: tuple[int, ...]) -> Distinct:
        """The distinct table rows of the batch, found once and shared by all tables of a model.

        A reader thread may ask for them ahead of time. Those of the first groups alone are slices of what is known of
        more groups: tables of vectors, which have no crosses, and of weights, which have them, share one search.

        Args:
            groups: [G + 1] where the slots of each group begin, and their end: `InputSpec.slot_starts()`, or the begin
                of it. No row is in two groups, and those of a group are above those of the groups before it.
        """
        if groups not in self._distinct:
            more = next((known for known in self._distinct if known[: len(groups)] == groups), None)
            if more is not None:
                self._distinct[groups] = self._distinct[more].of_first(len(groups) - 1)
            else:
                compiled = tier() >= Tier.EMBEDDINGS and self.sparse.device.type == "cpu"
                find = find_by_hashing if compiled else find_by_sorting
                self._distinct[groups] = find(self.first_slots(groups[-1]), torch.tensor(groups, dtype=torch.int32))
        return self._distinct[groups]

    def first_slots(self, count: int) -> Tensor:
        """Table rows of the first slots [B, count]: all of them, or those that are no crosses."""
        return self.sparse if count == self.sparse.shape[1] else self.sparse[:, :count]

    @cached_property
    def _distinct(self) -> dict[tuple[int, ...], Distinct]:
        return {}
