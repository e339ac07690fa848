"""`Distinct`: the distinct table rows of a batch, each with a position, so that every row is handled once a step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from clickwise.schema import PADDING_ROW


@dataclass(frozen=True, eq=False)
class Distinct:
    """The distinct rows of a batch [B, S], grouped by field. Position 0 is always padding, in the batch or not.

    Args:
        rows: [U] int32, all different; `rows[0]` is `PADDING_ROW`.
        inverse: [S, B] int32, the position of each slot's row: `rows[inverse[s, b]] == sparse[b, s]`.
        groups: [G + 1] int32; group g (a field) is the slots from `groups[g]` to `groups[g + 1]`.
        starts: [G + 1] int32; its rows are at the positions from `starts[g]` to `starts[g + 1]`.
        sorted_slots: what `slots_by_row` gives, where it is known already.
    """

    rows: Tensor
    inverse: Tensor
    groups: Tensor
    starts: Tensor
    sorted_slots: tuple[Tensor, Tensor] | None = None

    def of_first(self, groups: int) -> Distinct:
        """Those of the first groups alone, as slices: their rows come before the others."""
        slots, rows = int(self.groups[groups]), int(self.starts[groups])
        ordered = self.sorted_slots
        if ordered is not None:
            order, begins = ordered
            order = order[: begins[rows]] if rows < len(begins) else order
            every = max(1, len(self.inverse))
            ordered = (order // every * slots + order % every, begins[:rows])
        return Distinct(
            self.rows[:rows], self.inverse[:slots], self.groups[: groups + 1], self.starts[: groups + 1], ordered
        )

    @cached_property
    def slots_by_row(self) -> tuple[Tensor, Tensor]:
        """The slots, as indices into [B * S], in the order of their positions, and where each position begins [U].

        Padding is left out: position 0 begins and ends at 0.
        """
        if self.sorted_slots is not None:
            return self.sorted_slots
        positions, order = torch.sort(self.inverse.t().flatten(), stable=True)
        begins = torch.searchsorted(positions, torch.arange(1, len(self.rows) + 1, dtype=torch.int32))
        return _without_padding(order, begins)


def find_by_sorting(sparse: Tensor, groups: Tensor) -> Distinct:
    """The distinct rows of `sparse` [B, S], ascending; the rows of a group must be above those of groups before it."""
    values, order = torch.sort(sparse.flatten(), stable=True)
    first = values != PADDING_ROW
    first[1:] &= values[1:] != values[:-1]
    begins = first.nonzero().squeeze(1)  # of positions 1, 2, ... in `order`
    inverse = torch.empty_like(values)
    inverse[order] = first.cumsum(0, dtype=values.dtype)
    slot = (order[begins] % max(1, sparse.shape[1])).to(torch.int32)
    starts = 1 + torch.searchsorted(slot_groups(groups)[slot.long()], torch.arange(len(groups), dtype=torch.int32))
    return Distinct(
        rows=torch.cat([values.new_full((1,), PADDING_ROW), values[begins]]),
        inverse=inverse.view_as(sparse).t(),
        groups=groups,
        starts=starts.to(torch.int32),
        sorted_slots=_without_padding(order, torch.cat([begins, begins.new_full((1,), len(order))])),
    )


def slot_groups(groups: Tensor) -> Tensor:
    """The group of each slot [S] int32, given where groups start [G + 1]."""
    return torch.repeat_interleave(torch.arange(len(groups) - 1, dtype=torch.int32), groups.diff())


def _without_padding(order: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """`order` without the slots that are padding, given where each position ends in it [U]; and where each begins."""
    padding = ends[0]
    return order[padding:], torch.cat([padding.new_zeros(1), ends[:-1] - padding])
