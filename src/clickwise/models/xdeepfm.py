"""xDeepFM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import CIN, MLP, Embedding, Linear, flat_input
from clickwise.models.checks import check_embedding, check_mlp
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("xdeepfm")
class XDeepFM(Ranker):
    """logit = b + sum_f w_f + <w_dense, dense> + <u, [CIN([v_1 .. v_F]), MLP([v_1 .. v_F, dense])]>.

    The same vectors v feed the compressed interaction network and the MLP. Dense features enter through the linear term
    and the MLP; crosses are those of the vectors alone.

    Reference: Lian et al. 2018, "xDeepFM: Combining Explicit and Implicit Feature Interactions", Eqs. 6-9.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim, embedding_dropout: of vectors v; cin_layer_dims: maps of each layer of `CIN`; see `MLP`."""

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        cin_layer_dims: tuple[int, ...] = (128, 128)
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            dims = self.cin_layer_dims
            require(len(dims) > 0 and min(dims) >= 1, "cin_layer_dims", list(dims), "a list of whole numbers >= 1")
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.linear = Linear(inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        self.cin = CIN(inputs.num_vectors, config.cin_layer_dims) if inputs.num_vectors else None
        in_dim = inputs.num_vectors * config.embedding_dim + inputs.num_dense
        self.deep = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm)
        crosses = sum(config.cin_layer_dims) if self.cin else 0
        self.out = MLP(crosses + config.hidden_dims[-1], (), out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.linear.bias

    def forward(self, batch: Batch) -> Tensor:
        v = self.embedding(batch)  # [B, F, D]
        deep = self.deep(flat_input(v, batch.dense))
        top = deep if self.cin is None else torch.cat([self.cin(v), deep], 1)
        return self.linear(batch) + self.out(top).squeeze(1)
