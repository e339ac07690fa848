"""Deep & Cross Network, version 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import MLP, CrossV1, Embedding, flat_input
from clickwise.models.checks import check_cross, check_embedding, check_mlp
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("dcn")
class DCN(Ranker):
    """logit = b + <w, [x_L, h]>, x_0 = [v_1 .. v_F, dense], x_{l+1} = x_0 (x_l . w_l) + b_l + x_l, h = MLP(x_0).

    There is no separate linear term, as in the paper.

    Reference: Wang et al. 2017, "Deep & Cross Network for Ad Click Predictions", Eqs. 1-6.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim, embedding_dropout: of the vectors v; num_cross_layers: L. The rest is as in `MLP`."""

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        num_cross_layers: int = 3
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            check_cross(self.num_cross_layers)
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        dim = inputs.num_vectors * config.embedding_dim + inputs.num_dense
        self.cross = CrossV1(dim, config.num_cross_layers)
        self.deep = MLP(dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm)
        self.out = MLP(dim + config.hidden_dims[-1], (), out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.out.out_bias

    def forward(self, batch: Batch) -> Tensor:
        x0 = flat_input(self.embedding(batch), batch.dense)  # [B, d]
        return self.out(torch.cat([self.cross(x0), self.deep(x0)], 1)).squeeze(1)
