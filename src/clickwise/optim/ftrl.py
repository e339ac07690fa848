"""FTRL-Proximal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clickwise.config import require
from clickwise.optim.rule import CompiledStep, State, UpdateRule, check_rate, filled
from clickwise.registry import register_update_rule


@register_update_rule("ftrl")
class FTRL(UpdateRule):
    """n' = n + g^2; z += g - (sqrt(n') - sqrt(n)) / lr * w;
    w = 0 if |z| <= l1, else -(z - sgn(z) l1) / ((beta + sqrt(n')) / lr + l2); only where g is not zero.

    With l1 = l2 = 0 this is AdaGrad with lr / (beta + sqrt(n')); l1 makes weights exactly zero.

    The last equation, solved for z, gives the z of every weight that is not zero, and there z is taken from the weight.
    That is the same number in a run as the paper has it. But so a weight may start at any value (the paper's start at
    zero, with z = 0), and a learning rate that changes between steps changes the steps, not the weights reached.

    Reference: McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", Algorithm 1.
    """

    sparse_equals_dense = True

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """learning_rate: the paper's alpha. beta: added to the root of n, > 0. l1, l2: the paper's lambdas, >= 0.

        The paper's gradients are of one row, ours of the mean loss of a batch: beta, l1 and l2 are small numbers here.
        """

        learning_rate: float = 0.05
        beta: float = 1e-3
        l1: float = 0.0
        l2: float = 0.0

        def __post_init__(self) -> None:
            check_rate(self.learning_rate)
            require(0.0 < self.beta < float("inf"), "beta", self.beta, "a number > 0")
            require(0.0 <= self.l1 < float("inf"), "l1", self.l1, "a number >= 0")
            require(0.0 <= self.l2 < float("inf"), "l2", self.l2, "a number >= 0")

    def init_state(self, weight: Tensor) -> State:
        return {"z": filled(weight, 0.0), "n": filled(weight, 0.0)}

    def update(self, weight: Tensor, state: State, grad: Tensor, scale: float) -> None:
        c = self.config
        n = state["n"].addcmul_(grad, grad)
        curvature = n.sqrt().add_(c.beta).div_(scale * c.learning_rate).add_(c.l2)
        before = torch.where(weight != 0, -weight * curvature - weight.sign() * c.l1, state["z"])
        z = before + grad  # the difference of roots is in the curvature: -w (curvature' - curvature)
        next_weight = torch.where(z.abs() > c.l1, (z.sign() * c.l1 - z) / curvature, torch.zeros_like(z))
        moves = grad != 0
        weight.copy_(torch.where(moves, next_weight, weight))
        state["z"].copy_(torch.where(moves, z, state["z"]))

    def compiled_step(self, state: State, scale: float) -> CompiledStep:
        c = self.config
        scalars = (1.0 / (scale * c.learning_rate), c.beta, c.l1, c.l2)
        return CompiledStep("ftrl", scalars, (state["z"], state["n"]))
