"""Two towers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import AttentionPooling, EmbeddingTable, Pooling, Tower
from clickwise.models.checks import check_dropout, check_embedding, check_widths
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import PADDING_ROW, InputSpec


@register_model("two_tower")
class TwoTower(Ranker):
    """logit = <u, v> / tau + b, u = `Tower` of the query's features, v = `Tower` of the item's.

    Neither tower sees the other's features, so that the vectors of all items can be made once and searched by dot
    product. Both look their ids up in one table. A sequence of past items is one vector of its tower's input: the mean
    or sum of its entries, or, with `attention`, as `AttentionPooling` weighs them. Trained for retrieval, as it is
    unless told otherwise, only <u, v> counts and b stays where it was; trained on the logistic loss, the logit is one
    like any other.

    Reference: Huang et al. 2013, "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data";
    Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", Section 3.
    """

    objective: ClassVar[str] = "sampled_softmax"

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of both towers.

        embedding_dim: of the ids' vectors. attention: over the entries of sequences. hidden_dims, dropout, batch_norm,
        normalize: as in `Tower`. temperature: tau > 0, where it starts if `learn_temperature`.
        """

        embedding_dim: int = 64
        attention: bool = False
        hidden_dims: tuple[int, ...] = ()
        dropout: float = 0.0
        batch_norm: bool = False
        normalize: bool = True
        temperature: float = 0.1
        learn_temperature: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, 0.0)
            check_widths("hidden_dims", self.hidden_dims, at_least=0)
            check_dropout("dropout", self.dropout)
            require(0.0 < self.temperature < math.inf, "temperature", self.temperature, "a number > 0")

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__(config, inputs)
        base = inputs.base
        if config.attention:
            fields = (replace(field, pooling="none") if field.shares else field for field in base.fields)
            base = replace(base, fields=tuple(fields))
        for name, side in zip(("query", "item"), base.sides, strict=True):
            require(
                bool(side.fields or side.dense),
                "schema.item_features",
                list(inputs.item),
                f"features for both sides, and the {name} has none; name the column of the item by schema.item",
            )
        self.table = EmbeddingTable(base.num_rows, config.embedding_dim, 0.01)
        self.pooling, *self.poolings = (Pooling.of(part) for part in (base, *base.sides))
        self._places = [inputs.places(side) for side in base.sides]
        where = base.vectors()
        self._of_side = [[vector for f in side.fields for vector in where[f.name]] for side in base.sides]
        self._sequences = [_sequences(side) if config.attention else [] for side in base.sides]
        self.query_attention, self.item_attention = (
            nn.ModuleList(AttentionPooling(config.embedding_dim) for _ in sequences) for sequences in self._sequences
        )
        self.query_tower, self.item_tower = (
            Tower(
                side.num_vectors - sum(len(vectors) - 1 for _, vectors in sequences),
                config.embedding_dim,
                side.num_dense,
                config.hidden_dims,
                dropout=config.dropout,
                batch_norm=config.batch_norm,
                normalize=config.normalize,
            )
            for side, sequences in zip(base.sides, self._sequences, strict=True)
        )
        learned = torch.full((1,), -math.log(config.temperature))
        self.log_scale: nn.Parameter | None = nn.Parameter(learned) if config.learn_temperature else None
        self.bias = nn.Parameter(torch.zeros(1))

    @property
    def output_bias(self) -> nn.Parameter:
        return self.bias

    @property
    def dim(self) -> int:
        """K: of the vectors of queries and items."""
        hidden = self.config.hidden_dims
        return int(hidden[-1] if hidden else self.config.embedding_dim)

    def query(self, batch: Batch) -> Tensor:
        """Vectors [B, K] of queries; the batch has the query's slots alone."""
        return self._vectors(0, self.table.lookup(batch, self.poolings[0]), batch)

    def item(self, batch: Batch) -> Tensor:
        """Vectors [C, K] of items; the batch has the item's slots alone."""
        return self._vectors(1, self.table.lookup(batch, self.poolings[1]), batch)

    def split(self, batch: Batch) -> tuple[Batch, Batch]:
        """The query's slots and the item's, of rows that have both."""
        query, item = (batch.part(*places) for places in self._places)
        return query, item

    def scaled(self, similarity: Tensor) -> Tensor:
        """similarity / tau, of similarities or of the queries' vectors."""
        return similarity / self.config.temperature if self.log_scale is None else similarity * self.log_scale.exp()

    def forward(self, batch: Batch) -> Tensor:
        v = self.table.lookup(batch, self.pooling)  # [B, F, D], of both sides
        parts = enumerate(zip(self._of_side, self.split(batch), strict=True))
        query, item = (self._vectors(side, v[:, mine], part) for side, (mine, part) in parts)
        return self.scaled((query * item).sum(1)) + self.bias

    def _vectors(self, side: int, v: Tensor, batch: Batch) -> Tensor:
        """A side's vectors [B, K], of those of its ids [B, F, D]: a tower is given attended sequences last."""
        sequences = self._sequences[side]
        tower, attention = ((self.query_tower, self.query_attention), (self.item_tower, self.item_attention))[side]
        if sequences:
            entries = {place for _, vectors in sequences for place in vectors}
            parts = [v[:, [place for place in range(v.shape[1]) if place not in entries]]]
            for attend, (slots, vectors) in zip(attention, sequences, strict=True):
                filled = batch.sparse[:, slots] != PADDING_ROW
                parts.append(attend(v[:, vectors.start : vectors.stop], filled).unsqueeze(1))
            v = torch.cat(parts, 1)
        return tower(v, batch.dense)


def _sequences(side: InputSpec) -> list[tuple[slice, range]]:
    """The slots of each sequence, and which of the side's vectors its entries are."""
    vectors = side.vectors()
    return [(slots, vectors[field.name]) for field, slots in side.slots() if field.shares]
