"""Row-wise AdaGrad."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from clickwise.config import require
from clickwise.optim.rule import CompiledStep, State, UpdateRule, check_rate, filled
from clickwise.registry import register_update_rule


@register_update_rule("rowwise_adagrad")
class RowwiseAdagrad(UpdateRule):
    """n_r += mean_d g_rd^2; w_rd -= lr * g_rd / (sqrt(n_r) + eps): AdaGrad with one number of state a row.

    The gradients of equal ids are summed before they are squared. The rows of a dense matrix are its output units; a
    vector or scalar has one element a row, and for it the rule is AdaGrad.

    Reference: Naumov et al. 2019, "Deep Learning Recommendation Model", and its code (dlrm, rwsadagrad.py).
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
        shape = weight.shape if weight.dim() < 2 else weight.shape[:1]
        return {"sum": filled(weight, self.config.initial_accumulator, shape)}

    def update(self, weight: Tensor, state: State, grad: Tensor, scale: float) -> None:
        square = grad.square()
        n = state["sum"].add_(square if grad.dim() < 2 else square.flatten(1).mean(1))
        step = n.sqrt().add_(self.config.eps).reciprocal_().mul_(-scale * self.config.learning_rate)
        weight.addcmul_(grad, step.view(step.shape + (1,) * (grad.dim() - step.dim())))

    def compiled_step(self, state: State, scale: float) -> CompiledStep:
        return CompiledStep("rowwise_adagrad", (scale * self.config.learning_rate, self.config.eps), (state["sum"],))
