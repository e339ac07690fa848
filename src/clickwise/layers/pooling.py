"""`Pooling`: how the rows of a batch's slots become vectors, and the same in plain torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from clickwise.batch import Batch
from clickwise.schema import PADDING_ROW, InputSpec


@dataclass(frozen=True)
class Pooling:
    """Vector f of a batch is the sum over its slots s, a run of them, of coefficient[b, s] * row of (b, s).

    It takes the first slots of a batch, up to the end of the last group: all of them, or those that are no crosses.

    Args:
        groups: [G + 1] where the slots of each field begin, and their end.
        vectors: [F + 1] the same for the slots of each vector.
        means: the fields' slots, from and to, whose sum is divided by how many of them are not padding.
        weighted: coefficients are multiplied by the slot weights.
    """

    groups: tuple[int, ...]
    vectors: tuple[int, ...]
    means: tuple[tuple[int, int], ...] = ()
    weighted: bool = False

    @classmethod
    def none(cls, num_slots: int) -> Pooling:
        """Each slot a vector of its own, and one field for all."""
        return cls((0, num_slots), tuple(range(num_slots + 1)))

    @classmethod
    def of(cls, inputs: InputSpec, total: bool = False) -> Pooling:
        """As the fields of `inputs` say; `total` adds all their vectors up to one."""
        groups, vectors, means = inputs.slot_starts(), [0], []
        for field, slots in inputs.slots():
            vectors += range(slots.start + 1, slots.stop) if field.pooling == "none" else ()
            vectors.append(slots.stop)
            if field.pooling == "mean" and field.length > 1:
                means.append((slots.start, slots.stop))
        return cls(groups, (0, groups[-1]) if total else tuple(vectors), tuple(means), inputs.weighted)

    @property
    def num_slots(self) -> int:
        """S: slots it takes."""
        return self.groups[-1]

    @property
    def num_vectors(self) -> int:
        """F: vectors a row gives."""
        return len(self.vectors) - 1

    @property
    def straight(self) -> bool:
        """Whether the row of each slot is a vector as it is, but for its coefficient."""
        return self.vectors == tuple(range(len(self.vectors)))

    @cached_property
    def starts(self) -> Tensor:
        """`vectors` as a tensor [F + 1] int32."""
        return torch.tensor(self.vectors, dtype=torch.int32)

    def coefficients(self, batch: Batch, dtype: torch.dtype = torch.float32) -> Tensor | None:
        """Coefficients [B, S]; None where all are 1."""
        sparse = batch.first_slots(self.num_slots)
        weights = batch.slot_weight[:, : self.num_slots] if self.weighted and batch.slot_weight is not None else None
        if not self.means:
            return None if weights is None else weights.to(dtype)
        found = torch.ones(sparse.shape, dtype=dtype) if weights is None else weights.to(dtype, copy=True)
        for first, last in self.means:
            filled = (sparse[:, first:last] != PADDING_ROW).sum(1, keepdim=True).clamp(min=1)
            found[:, first:last] /= filled
        return found

    def pool(self, rows: Tensor, coefficients: Tensor | None) -> Tensor:
        """The vectors [B, F, D] from the rows of all slots [B, S, D]."""
        if coefficients is not None:
            rows = rows * coefficients.unsqueeze(2)
        if self.straight:
            return rows
        if self.num_vectors == 1:
            return rows.sum(1, keepdim=True)
        return torch.cat([_sum(rows[:, first:last], alone) for first, last, alone in self._runs], 1)

    @cached_property
    def _runs(self) -> list[tuple[int, int, bool]]:
        """Runs of slots, from and to: neighbouring vectors of one slot together (True), others each alone."""
        runs: list[tuple[int, int, bool]] = []
        for first, last in zip(self.vectors, self.vectors[1:], strict=False):
            alone = last - first == 1
            if alone and runs and runs[-1][2]:
                first = runs.pop()[0]
            runs.append((first, last, alone))
        return runs


def _sum(rows: Tensor, alone: bool) -> Tensor:
    return rows if alone else rows.sum(1, keepdim=True)
