"""Product-based neural network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import MLP, Embedding, inner_products, outer_product
from clickwise.models.checks import check_embedding, check_mlp
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("pnn")
class PNN(Ranker):
    """logit = MLP([v_1 .. v_F, dense, p]); p is one or both of the products.

    Inner: p = (<v_f, v_g>)_{f<g}. Outer: p = s s^T, s = sum_f v_f: the sum of all v_f v_g^T, superposed.

    The paper's first layer l_1 = relu(W_z z + W_p p + b) is the first layer of an MLP on [z, p]: W = [W_z, W_p], here
    without constraints on either (the paper offers W_p of rank one). There is no linear term. Dense features enter
    through z alone.

    Reference: Qu et al. 2016, "Product-based Neural Networks for User Response Prediction", Eqs. 2-5, 7-9 and 15.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim, embedding_dropout: of the vectors v; products: which make up p. The rest is as in `MLP`."""

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        products: Literal["inner", "outer", "both"] = "inner"
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            require(self.products in _PRODUCTS, "products", self.products, "'inner', 'outer' or 'both'")
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        self.products = _PRODUCTS[config.products]
        num_vectors, dim = inputs.num_vectors, config.embedding_dim
        widths = {inner_products: num_vectors * (num_vectors - 1) // 2, outer_product: dim * dim}
        in_dim = num_vectors * dim + inputs.num_dense + sum(widths[product] for product in self.products)
        self.mlp = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.mlp.out_bias

    def forward(self, batch: Batch) -> Tensor:
        v = self.embedding(batch)  # [B, F, D]
        p = [product(v) for product in self.products]
        return self.mlp(torch.cat([v.flatten(1), batch.dense, *p], 1)).squeeze(1)


_PRODUCTS = {"inner": (inner_products,), "outer": (outer_product,), "both": (inner_products, outer_product)}
