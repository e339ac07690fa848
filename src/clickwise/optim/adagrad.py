"""AdaGrad."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from clickwise.config import require
from clickwise.optim.rule import CompiledStep, State, UpdateRule, check_rate, filled
from clickwise.registry import register_update_rule


@register_update_rule("adagrad")
class Adagrad(UpdateRule):
    """n += g^2; w -= lr * g / (sqrt(n) + eps). The gradients of equal ids are summed before they are squared.

    Reference: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods", diagonal case.
    """

    sparse_equals_dense = True

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """initial_accumulator: n before the first step, >= 0. eps: added to the root."""

        learning_rate: float = 0.02
        initial_accumulator: float = 0.0
        eps: float = 1e-10

        def __post_init__(self) -> None:
            check_rate(self.learning_rate, self.eps)
            require(self.initial_accumulator >= 0.0, "initial_accumulator", self.initial_accumulator, "a number >= 0")

    def init_state(self, weight: Tensor) -> State:
        return {"sum": filled(weight, self.config.initial_accumulator)}

    def update(self, weight: Tensor, state: State, grad: Tensor, scale: float) -> None:
        n = state["sum"].addcmul_(grad, grad)
        weight.addcdiv_(grad, n.sqrt().add_(self.config.eps), value=-scale * self.config.learning_rate)

    def compiled_step(self, state: State, scale: float) -> CompiledStep:
        return CompiledStep("adagrad", (scale * self.config.learning_rate, self.config.eps), (state["sum"],))
