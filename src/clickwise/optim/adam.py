"""Adam."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clickwise.config import require
from clickwise.optim.rule import CompiledStep, State, UpdateRule, check_rate, filled
from clickwise.registry import register_update_rule

_NOTHING = 1e-30
"""A mean below is zero: what is left of a gradient after hundreds of steps would become a slow subnormal number."""


@register_update_rule("adam")
class Adam(UpdateRule):
    """m += (1 - b1)(g - m); v += (1 - b2)(g^2 - v); w -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps).

    On a table this is Adam on the rows touched, with t counting all steps, as torch.optim.SparseAdam does it: moments
    of a row decay only in the steps that touch it. It is not Adam on the whole table, which would decay the moments of
    every row and move it at every step, at a cost of O(V).

    With `every_row` it is that as well, at the cost of the rows touched: before a row is looked up that n steps did not
    touch it moves by lr * m / (sqrt(v) + eps) * sum_i (b1 / sqrt(b2))^i, i = 1 .. n, and its moments decay n times.
    This is exact but for eps, bias corrections and learning rate, which are those of one step for all n. A learning
    rate that was published with a dense table is one for this: the moments of a rare row are small when it comes.

    Reference: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", Algorithm 1.
    """

    sparse_equals_dense = False

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """beta1, beta2: decay of the two moments, in [0, 1). eps: added to the root. every_row: see `Adam`."""

        learning_rate: float = 1e-3
        beta1: float = 0.9
        beta2: float = 0.999
        eps: float = 1e-8
        every_row: bool = False

        def __post_init__(self) -> None:
            check_rate(self.learning_rate, self.eps)
            require(0.0 <= self.beta1 < 1.0, "beta1", self.beta1, "a number in [0, 1)")
            require(0.0 <= self.beta2 < 1.0, "beta2", self.beta2, "a number in [0, 1)")
            settles = not self.every_row or self.beta1**2 < self.beta2
            require(settles, "beta2", self.beta2, "above beta1^2 where every row moves at every step")

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

    @property
    def coasts(self) -> bool:
        return self.config.every_row

    def coast(self, weight: Tensor, state: State, missed: Tensor, scale: float) -> None:
        c = self.config
        n = missed.double()
        last = (state["step"] - n).clamp(min=1.0)
        ratio = c.beta1 / c.beta2**0.5
        reach = scale * c.learning_rate * ratio * (1.0 - ratio**n) / (1.0 - ratio) / (1.0 - c.beta1**last)
        root = torch.sqrt(state["square"]).mul_(_column((1.0 - c.beta2**last) ** -0.5, weight)).add_(c.eps)
        weight.addcdiv_(state["mean"] * _column(reach, weight), root, value=-1.0)
        state["mean"].copy_(torch.hardshrink(state["mean"] * _column(c.beta1**n, weight), _NOTHING))
        state["square"].mul_(_column(c.beta2**n, weight))

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


def _column(of_rows: Tensor, weight: Tensor) -> Tensor:
    """[U, 1], of the weight's type."""
    return of_rows.to(weight.dtype).unsqueeze(1)
