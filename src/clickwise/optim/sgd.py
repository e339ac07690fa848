"""Plain stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from clickwise.optim.rule import CompiledStep, State, UpdateRule, check_rate
from clickwise.registry import register_update_rule


@register_update_rule("sgd")
class SGD(UpdateRule):
    """w -= lr * g. No state."""

    sparse_equals_dense = True

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """The loss is a mean over the batch, so that rows of rare ids get small gradients: the rate is large."""

        learning_rate: float = 0.1

        def __post_init__(self) -> None:
            check_rate(self.learning_rate)

    def init_state(self, weight: Tensor) -> State:
        return {}

    def update(self, weight: Tensor, state: State, grad: Tensor, scale: float) -> None:
        weight.add_(grad, alpha=-scale * self.config.learning_rate)

    def compiled_step(self, state: State, scale: float) -> CompiledStep:
        return CompiledStep("sgd", (scale * self.config.learning_rate,))
