"""Factorisation machine."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import Embedding, FMInteraction, Linear
from clickwise.models.checks import check_embedding
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("fm")
class FM(Ranker):
    """logit = b + sum_f w_f + <w_dense, dense> + sum_{f<g} <v_f, v_g>.

    Pairs are those of the embedding vectors: dense features enter through the linear term alone, and the slots of a
    pooled multi-valued field are pooled first, so that they form no pairs among themselves.

    Reference: Rendle 2010, "Factorization Machines", Eq. 1.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim: width of the vectors v."""

        embedding_dim: int = 16

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.linear = Linear(inputs)
        self.embedding = Embedding(inputs, config.embedding_dim)
        self.interaction = FMInteraction()

    @property
    def output_bias(self) -> nn.Parameter:
        return self.linear.bias

    def forward(self, batch: Batch) -> Tensor:
        return self.linear(batch) + self.interaction(self.embedding(batch))
