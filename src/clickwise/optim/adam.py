"""Adam."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clickwise.config import require
from clickwise.optim.rule import CompiledStep, State, UpdateRule, check_rate, filled
from clickwise.registry import register_update_rule


@register_update_rule("adam")
class Adam(UpdateRule):
    """m += (1 - b1)(g - m); v += (1 - b2)(g^2 - v); w -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps).

    On a table this is Adam on the rows touched, with t counting all steps, as torch.optim.SparseAdam does it: moments
    of a row decay only in the steps that touch it. It is not Adam on the whole table, which would decay the moments of
    every row and move it at every step, at a cost of O(V).

    Reference: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1.
    """

    sparse_equals_dense = False

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """beta1, beta2: decay of the two moments, in [0, 1). eps: added to the root."""

        learning_rate: float = 1e-3
        beta1: float = 0.9
        beta2: float = 0.999
        eps: float = 1e-8

        def __post_init__(self) -> None:
            check_rate(self.learning_rate, self.eps)
            require(0.0 <= self.beta1 < 1.0, "beta1", self.beta1, "a number in [0, 1)")
            require(0.0 <= self.beta2 < 1.0, "beta2", self.beta2, "a number in [0, 1)")

    def init_state(self, weight: Tensor) -> State:
        return {
            "step": torch.zeros((), dtype=torch.int64),
            "mean": filled(weight, 0.0),
            "square": filled(weight, 0.0),
        }

    def update(self, weight: Tensor, state: State, grad: Tensor, scale: float) -> None:
        c = self.config
        rest1, rest2 = self._count(state)
        state["mean"].lerp_(grad, 1.0 - c.beta1)
        state["square"].mul_(c.beta2).addcmul_(grad, grad, value=1.0 - c.beta2)
        root = torch.sqrt(state["square"], out=grad).div_(rest2**0.5).add_(c.eps)
        weight.addcdiv_(state["mean"], root, value=-scale * c.learning_rate / rest1)

    def compiled_step(self, state: State, scale: float) -> CompiledStep:
        c = self.config
        rest1, rest2 = self._count(state)
        scalars = (scale * c.learning_rate / rest1, 1.0 - c.beta1, c.beta2, 1.0 - c.beta2, rest2**-0.5, c.eps)
        return CompiledStep("adam", scalars, (state["mean"], state["square"]))

    def _count(self, state: State) -> tuple[float, float]:
        """Count a step; 1 - b1^t and 1 - b2^t."""
        state["step"] += 1
        t = int(state["step"])
        return 1.0 - self.config.beta1**t, 1.0 - self.config.beta2**t
