"""`UpdateRule`: what each optimiser file must say, once, for dense parameters and for touched rows alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from clickwise.config import require
from clickwise.native.tensors import in_huge_pages

State = dict[str, Tensor]
"""Per-parameter state. Tensors of dimension 0 (such as a step counter) belong to the whole parameter; all others have
the parameter's rows as their first dimension."""


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One step of a rule as a compiled kernel takes it.

    Args:
        kernel: its name in native/kernels/updates.hpp.
        scalars: its numbers, in the order given there.
        state: its tensors, in the order given there.
    """

    kernel: str
    scalars: tuple[float, ...]
    state: tuple[Tensor, ...] = ()


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

    @property
    def coasts(self) -> bool:
        """Whether rows of a table move on in steps that do not touch them."""
        return False

    def coast(self, weight: Tensor, state: State, missed: Tensor, scale: float) -> None:
        """What steps without a gradient do, in place on `weight` and `state`.

        Args:
            weight, state, scale: as in `update`.
            missed: [U] int64, how many such steps each row had, up to the last one.
        """
        assert not self.coasts, "a rule that coasts says how"

    def compiled_step(self, state: State, scale: float) -> CompiledStep | None:
        """What a compiled kernel is to do, this once, in place of `update`; None where there is no such kernel.

        Where `update` counts the step in the state, so does this.
        """
        return None


def filled(like: Tensor, value: float, shape: tuple[int, ...] | None = None) -> Tensor:
    """State of one value: as large as `like` unless it has a shape of its own."""
    return in_huge_pages(like.new_empty(like.shape if shape is None else shape)).fill_(value)


def check_rate(learning_rate: float, eps: float | None = None) -> None:
    """Raise a `ConfigError` unless they are a learning rate and an epsilon (where there is one)."""
    require(0.0 < learning_rate < float("inf"), "learning_rate", learning_rate, "a number > 0")
    require(eps is None or 0.0 < eps < float("inf"), "eps", eps, "a number > 0")
