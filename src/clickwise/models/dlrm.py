"""Deep learning recommendation model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers import MLP, Embedding, inner_products
from clickwise.models.checks import check_embedding, check_mlp, check_pairs, check_widths
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("dlrm")
class DLRM(Ranker):
    """logit = MLP_top([e_0, (<e_i, e_j>)_{i<j}]), e = [MLP_bottom(dense), v_1 .. v_F].

    The bottom MLP, its last layer of width D with activation, makes of all dense features one vector e_0. Without dense
    features there is none, and the top MLP reads the products of v alone. There is no linear term.

    Reference: Naumov et al. 2019, "Deep Learning Recommendation Model for Personalization and Recommendation Systems",
    Section 2.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of the vectors and of both networks.

        embedding_dim, embedding_dropout: of the vectors v; embedding_dim, D, is also the width of e_0.
        bottom_hidden_dims: widths of the layers of the bottom MLP before its last; may be empty. The rest is the top
        MLP's, as in `MLP`.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        bottom_hidden_dims: tuple[int, ...] = (512, 256)
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            check_widths("bottom_hidden_dims", self.bottom_hidden_dims, at_least=0)
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        check_pairs(inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        bottom_dims = (*config.bottom_hidden_dims, config.embedding_dim)
        self.bottom = MLP(inputs.num_dense, bottom_dims) if inputs.num_dense else None
        count = inputs.num_vectors + (self.bottom is not None)
        in_dim = count * (count - 1) // 2 + (0 if self.bottom is None else config.embedding_dim)
        self.top = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.top.out_bias

    def forward(self, batch: Batch) -> Tensor:
        e = self.embedding(batch)  # [B, F, D]
        if self.bottom is None:
            return self.top(inner_products(e)).squeeze(1)
        e_0 = self.bottom(batch.dense)  # [B, D]
        products = inner_products(torch.cat([e_0.unsqueeze(1), e], 1))  # [B, (F + 1) F / 2]
        return self.top(torch.cat([e_0, products], 1)).squeeze(1)
