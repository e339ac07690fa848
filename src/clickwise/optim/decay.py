"""Decoupled weight decay of whole tables, at a cost of the rows touched."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from clickwise.config import require
from clickwise.optim.rule import State


class TableDecay:
    """w_r *= 1 - lr_t * decay for every row r at every step t, done when a row is next needed.

    A row remembers how much of the sum of ln(1 - lr_t * decay) it has been given; the rest is given to it before it is
    looked up, before it is updated, and, to all rows, when the table as a whole is wanted (`settle`). So a step costs
    O(rows touched), and the weights are those of the dense rule but for rounding.

    Reference: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", Eq. 1 (decay, then the update).

    Args:
        weight: the table [V, D].
        decay: share, times the learning rate, that a step takes away.
    """

    def __init__(self, weight: Tensor, decay: float) -> None:
        self._weight, self._decay = weight, decay
        self.state: State = {
            "decay_total": torch.zeros((), dtype=torch.float64),
            "decay_given": torch.zeros(weight.shape[0], dtype=torch.float64),
        }

    def advance(self, learning_rate: float) -> None:
        """One step more."""
        self.state["decay_total"] += log_kept(learning_rate, self._decay)

    def catch_up(self, rows: Tensor) -> None:
        """Give these rows [U] int32, all different, what they have not been given yet; those above V are not ours."""
        index = rows[rows < self._weight.shape[0]].long()
        total, given = self.state["decay_total"], self.state["decay_given"]
        factor = torch.exp(total - given[index]).to(self._weight.dtype)
        self._weight.index_copy_(0, index, self._weight.index_select(0, index) * factor.unsqueeze(1))
        given[index] = total

    def settle(self) -> None:
        """Give all rows what they have not been given yet: O(V)."""
        total, given = self.state["decay_total"], self.state["decay_given"]
        self._weight *= torch.exp(total - given).to(self._weight.dtype).unsqueeze(1)
        given.fill_(total)


def log_kept(learning_rate: float, decay: float) -> float:
    """ln(1 - learning_rate * decay).

    Raises:
        ConfigError: nothing would be left.
    """
    require(learning_rate * decay < 1.0, "decay", decay, f"below 1 / learning rate, {1.0 / learning_rate:g}")
    return math.log1p(-learning_rate * decay)
