"""What steps without a gradient do to the rows of a table, at a cost of the rows touched."""

from __future__ import annotations

import torch
from torch import Tensor

from clickwise.optim.rule import State, UpdateRule


class TableCoasting:
    """A row moves on at every step that does not touch it, done when the row is next needed.

    A row remembers the last step that it has had; the rule gives it what it missed (`UpdateRule.coast`) before it is
    looked up, and all rows when the table as a whole is wanted (`settle`). So a step costs O(rows touched).

    Args:
        rule: one that `coasts`.
        weight: the table [V, D].
        state: of the rule, with a `step`.
    """

    def __init__(self, rule: UpdateRule, weight: Tensor, state: State) -> None:
        self._rule, self._weight, self._of_rule = rule, weight, state
        self.state: State = {"last_step": torch.zeros(weight.shape[0], dtype=torch.int64)}

    def catch_up(self, rows: Tensor, scale: float) -> None:
        """Give these rows [U] int32, all different, the steps they missed; those above V are not ours."""
        index = rows[rows < self._weight.shape[0]].long()
        missed = self._of_rule["step"] - self.state["last_step"][index]
        index, missed = index[missed > 0], missed[missed > 0]
        weight, state = self._weight.index_select(0, index), self._part(index)
        self._rule.coast(weight, state, missed, scale)
        self._weight.index_copy_(0, index, weight)
        for key, part in state.items():
            if part.dim():
                self._of_rule[key].index_copy_(0, index, part)
        self.touched(index)

    def settle(self, scale: float) -> None:
        """Give all rows the steps they missed: O(V)."""
        self._rule.coast(self._weight, self._of_rule, self._of_rule["step"] - self.state["last_step"], scale)
        self.state["last_step"].copy_(self._of_rule["step"].expand(len(self._weight)))

    def touched(self, rows: Tensor) -> None:
        """These rows have had all steps there were."""
        self.state["last_step"][rows.long()] = self._of_rule["step"]

    def _part(self, index: Tensor) -> State:
        return {key: s.index_select(0, index) if s.dim() else s for key, s in self._of_rule.items()}
