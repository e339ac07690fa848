"""Field-aware factorisation machine."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import Embedding, Linear, field_aware_pairs
from clickwise.models.checks import check_embedding
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("ffm")
class FFM(Ranker):
    """logit = b + sum_f w_f + <w_dense, dense> + sum_{f<g} <v_{f,g}, v_{g,f}>.

    v_{f,g} is the vector that the id of f has for the field of g: every id has F vectors of D numbers, so that the
    table is F times that of an FM of the same D, and a row costs O(F^2 D). D is therefore small.

    Dense features enter through the linear term alone, and the slots of a pooled multi-valued field are pooled first.
    Where there are no pairs there are no vectors.

    Reference: Juan et al. 2016, "Field-aware Factorization Machines for CTR Prediction", Eq. 4.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim: D, width of each vector v; an id has as many of them as a row has fields."""

        embedding_dim: int = 4

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.linear = Linear(inputs)
        num_vectors = inputs.num_vectors
        self.embedding = Embedding(inputs, num_vectors * config.embedding_dim) if num_vectors > 1 else None

    @property
    def output_bias(self) -> nn.Parameter:
        return self.linear.bias

    def forward(self, batch: Batch) -> Tensor:
        logit = self.linear(batch)
        if self.embedding is None:
            return logit
        v = self.embedding(batch)  # [B, F, F * D]
        return logit + field_aware_pairs(v.unflatten(2, (v.shape[1], -1)))
