"""Logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import Linear
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("lr")
class LR(Ranker):
    """logit = b + sum_f w_f + <w_dense, dense>.

    All weights start at zero.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Nothing to choose."""

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.linear = Linear(inputs)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.linear.bias

    def forward(self, batch: Batch) -> Tensor:
        return self.linear(batch)
