"""AutoInt and AutoInt+."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import MLP, Embedding, SelfAttention
from clickwise.models.checks import check_dropout, check_embedding, check_widths
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import InputSpec


@register_model("autoint")
class AutoInt(Ranker):
    """logit = b + <w, [a_1 .. a_M]>, a = L layers of `SelfAttention` on e = [v_1 .. v_F, u_1 dense_1 .. u_N dense_N].

    Each dense feature has a vector u, so that M = F + N. AutoInt+, which is what hidden layers make of it, adds
    <w', MLP([e_1 .. e_M])>. There is no linear term.

    Reference: Song et al. 2019, "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks",
    Eqs. 4-9.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of AutoInt, and of the MLP of AutoInt+.

        embedding_dim, embedding_dropout: of the vectors v. num_attention_layers: L; num_heads, head_dim: as in
        `SelfAttention`. hidden_dims: empty for AutoInt, widths of the MLP for AutoInt+. The rest is as in `MLP`.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        num_attention_layers: int = 3
        num_heads: int = 2
        head_dim: int = 32
        hidden_dims: tuple[int, ...] = ()
        dropout: float = 0.0
        batch_norm: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            for key in ("num_attention_layers", "num_heads", "head_dim"):
                require(getattr(self, key) >= 1, key, getattr(self, key), "a whole number >= 1")
            check_widths("hidden_dims", self.hidden_dims, at_least=0)
            check_dropout("dropout", self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        self.embedding = Embedding(inputs, config.embedding_dim, dropout=config.embedding_dropout)
        shape = (inputs.num_dense, config.embedding_dim)
        self.dense_vectors = nn.Parameter(torch.randn(shape) * 0.01) if inputs.num_dense else None
        width = config.num_heads * config.head_dim
        in_dims = [config.embedding_dim] + [width] * (config.num_attention_layers - 1)
        self.attention = nn.Sequential(*(SelfAttention(d, config.num_heads, config.head_dim) for d in in_dims))
        count = inputs.num_vectors + inputs.num_dense
        self.deep, deep_dim = None, 0
        if config.hidden_dims:
            in_dim, deep_dim = count * config.embedding_dim, config.hidden_dims[-1]
            self.deep = MLP(in_dim, config.hidden_dims, dropout=config.dropout, batch_norm=config.batch_norm)
        self.out = MLP(count * width + deep_dim, (), out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.out.out_bias

    def forward(self, batch: Batch) -> Tensor:
        e = self.embedding(batch)  # [B, F, D]
        if self.dense_vectors is not None:
            e = torch.cat([e, batch.dense.unsqueeze(2) * self.dense_vectors], 1)  # [B, M, D]
        top = self.attention(e).flatten(1)  # [B, M H d]
        if self.deep is not None:
            top = torch.cat([top, self.deep(e.flatten(1))], 1)
        return self.out(top).squeeze(1)
