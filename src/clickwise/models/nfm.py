"""Neural factorisation machine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import MLP, Embedding, Linear, bi_interaction
from clickwise.models.checks import check_embedding, check_mlp
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("nfm")
class NFM(Ranker):
    """logit = b + sum_f w_f + <w_dense, dense> + MLP([sum_{f<g} v_f * v_g, dense]).

    The pairs stay a vector of D numbers, which the MLP goes on from. Dense features enter through the linear term and
    beside that vector; pairs are those of the vectors alone.

    Reference: He and Chua 2017, "Neural Factorization Machines for Sparse Predictive Analytics", Eqs. 2-7.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim, embedding_dropout: width and dropout of the vectors v. The rest is as in `MLP`."""

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.linear = Linear(inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        in_dim = config.embedding_dim + inputs.num_dense
        self.mlp = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.linear.bias

    def forward(self, batch: Batch) -> Tensor:
        pairs = bi_interaction(self.embedding(batch))  # [B, D]
        return self.linear(batch) + self.mlp(torch.cat([pairs, batch.dense], 1)).squeeze(1)
