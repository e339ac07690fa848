"""Deep Interest Network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import MLP, Activation, Embedding, TargetAttention, flat_input
from clickwise.models.checks import check_embedding, check_mlp, check_widths
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import PADDING_ROW, InputSpec


@register_model("din")
class DIN(Ranker):
    """logit = MLP([v_1 .. v_F, u_1 .. u_S, dense]), u = sum_l a(v_l, v_t) v_l.

    v are the vectors of the fields that are no sequences. u is what a sequence says of its target: the sum over its
    entries l of their vectors, each with the weight that the activation unit a gives it beside v_t, the vector of the
    field that the sequence shares; see `TargetAttention`. There is no first-order term.

    Reference: Zhou et al. 2018, "Deep Interest Network for Click-Through Rate Prediction", Section 4.3, Eq. 3.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of the vectors, the activation units and the MLP.

        embedding_dim, embedding_dropout: of the vectors v. attention_hidden_dims: of the units' MLPs; softmax: their
        weights add up to 1. activation: of all hidden layers, "dice" as in the paper, or "relu". The rest is as in
        `MLP`.
        """

        embedding_dim: int = 16
        embedding_dropout: float = 0.0
        attention_hidden_dims: tuple[int, ...] = (80, 40)
        softmax: bool = False
        activation: Activation = "relu"
        hidden_dims: tuple[int, ...] = (400, 400, 400)
        dropout: float = 0.0

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, self.embedding_dropout)
            check_widths("attention_hidden_dims", self.attention_hidden_dims)
            require(self.activation in ("relu", "dice"), "activation", self.activation, "'relu' or 'dice'")
            check_mlp(self.hidden_dims, self.dropout)

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        one_by_one = (replace(f, pooling="none") if f.shares else f for f in inputs.base.fields)
        apart = InputSpec(fields=tuple(one_by_one), dense=inputs.dense)
        self.embedding = Embedding(apart, config.embedding_dim, dropout=config.embedding_dropout)
        self.widths = [len(vectors) for vectors in apart.vectors().values()]
        self.sequences = _sequences(apart)
        self.others = [place for place, field in enumerate(apart.fields) if not field.shares]
        dims, activation = config.attention_hidden_dims, config.activation
        self.attention = nn.ModuleList(
            TargetAttention(config.embedding_dim, dims, activation=activation, softmax=config.softmax)
            for _ in self.sequences
        )
        num_vectors = sum(self.widths[place] for place in self.others) + len(self.sequences)
        in_dim = num_vectors * config.embedding_dim + inputs.num_dense
        self.mlp = MLP(in_dim, config.hidden_dims, dropout=config.dropout, activation=activation, out_dim=1)

    @property
    def output_bias(self) -> nn.Parameter:
        return self.mlp.out_bias

    def forward(self, batch: Batch) -> Tensor:
        v = self.embedding(batch).split(self.widths, 1)  # of each field [B, vectors, D]
        found = [v[place] for place in self.others]
        for attend, (slots, entries, target) in zip(self.attention, self.sequences, strict=True):
            filled = batch.sparse[:, slots] != PADDING_ROW
            found.append(attend(v[entries], v[target].squeeze(1), filled).unsqueeze(1))
        return self.mlp(flat_input(torch.cat(found, 1), batch.dense)).squeeze(1)


def _sequences(inputs: InputSpec) -> list[tuple[slice, int, int]]:
    """Of each sequence its slots, and which field it is and which one it shares."""
    places = {field.name: place for place, field in enumerate(inputs.fields)}
    found = []
    for field, slots in inputs.slots():
        if field.shares:
            owner = places[field.shares]
            allowed = 'a field with one vector: pooling = "mean" or "sum", not "none"'
            require(inputs.fields[owner].num_vectors == 1, f"features.{field.name}.shares", field.shares, allowed)
            found.append((slots, places[field.name], owner))
    allowed = (
        'at least one sequence: a column of past items with transform = "sequence" and shares = the item\'s feature'
    )
    require(bool(found), "features", "no sequence", f"{allowed}; or take a model without attention, such as deepfm")
    return found
