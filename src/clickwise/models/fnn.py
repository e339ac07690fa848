"""Factorisation-machine supported neural network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.errors import ConfigError
from clickwise.layers import MLP, Embedding
from clickwise.models.checks import check_embedding, check_mlp
from clickwise.models.fm import FM
from clickwise.models.ranker import Pretraining, Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("fnn")
class FNN(Ranker):
    """logit = MLP([w_0, (w_1, v_1) .. (w_F, v_F), dense]); w_0, w, v start as those of a trained FM.

    One table of rows (w, v) holds both; all of it is trained on. There is no FM term beside the MLP. Dense features
    enter as they are, without the weights that the FM has for them.

    Reference: Zhang et al. 2016, "Deep Learning over Multi-field Categorical Data", Section 3.1, Eqs. 2-6.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """embedding_dim: of the vectors v; embedding_dropout: of the rows (w, v); pretraining_epochs: of the FM, 0
        starts from random rows. The rest is as in `MLP`.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        pretraining_epochs: int = 1
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            require(self.pretraining_epochs >= 0, "pretraining_epochs", self.pretraining_epochs, "a whole number >= 0")
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.w0 = nn.Parameter(torch.zeros(()))
        self.embedding = Embedding(inputs, 1 + config.embedding_dim, dropout=config.embedding_dropout)
        in_dim = 1 + inputs.num_vectors * (1 + config.embedding_dim) + inputs.num_dense
        self.mlp = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.mlp.out_bias

    def forward(self, batch: Batch) -> Tensor:
        rows = self.embedding(batch)  # [B, F, 1 + D]
        return self.mlp(torch.cat([self.w0.expand(rows.shape[0], 1), rows.flatten(1), batch.dense], 1)).squeeze(1)

    def pretraining(self) -> Pretraining | None:
        epochs = self.config.pretraining_epochs
        return Pretraining(FM.Config(embedding_dim=self.config.embedding_dim), epochs) if epochs else None

    @torch.no_grad()
    def start_from(self, other: Ranker) -> None:
        """Take w_0, w and v of a trained FM.

        Raises:
            ConfigError: it is no FM, or one of other inputs or another embedding_dim.
        """
        dim = self.config.embedding_dim
        if not isinstance(other, FM) or other.inputs != self.inputs or other.config.embedding_dim != dim:
            got, allowed = f"{type(other).__name__} {other.config}", f"an FM of the same inputs and embedding_dim {dim}"
            raise ConfigError("model", f"FNN cannot start from {got}; allowed is {allowed}")
        self.w0.copy_(other.linear.bias)
        table = self.embedding.table.weight  # in place: no second table
        table[:, :1] = other.linear.ids.table.weight[: len(table)]  # crosses come last and have no vectors
        table[:, 1:] = other.embedding.table.weight
