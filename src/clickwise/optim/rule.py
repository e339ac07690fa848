"""`UpdateRule`: what each optimiser file must say, once, for dense parameters and for touched rows alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from clickwise.config import require

State = dict[str, Tensor]
"""Per-parameter state. Tensors of dimension 0 (such as a step counter) belong to the whole parameter; all others have
the parameter's rows as their first dimension."""


class UpdateRule(ABC):
    """An equation for w, given its gradient g and state. Registered with `@register_update_rule`; nested `Config`.

    `sparse_equals_dense` says whether updating touched rows alone gives the same weights as updating all rows, with
    zero gradients for the others.
    """

    Config: ClassVar[type]
    sparse_equals_dense: ClassVar[bool]

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def init_state(self, weight: Tensor) -> State:
        """State of a parameter before its first step."""

    @abstractmethod
    def update(self, weight: Tensor, state: State, grad: Tensor, scale: float) -> None:
        """One step, in place on `weight` and `state`; `grad` may be overwritten.

        Args:
            weight: a dense parameter, or the touched rows [U, D] of a table.
            state: of the same rows.
            grad: of the same shape as `weight`.
            scale: multiplies the learning rate.
        """


def check_rate(learning_rate: float, eps: float | None = None) -> None:
    """Raise a `ConfigError` unless they are a learning rate and an epsilon (where there is one)."""
    require(0.0 < learning_rate < float("inf"), "learning_rate", learning_rate, "a number > 0")
    require(eps is None or 0.0 < eps < float("inf"), "eps", eps, "a number > 0")
