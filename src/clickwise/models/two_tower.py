"""Two towers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.config import require
from clickwise.layers import AttentionPooling, EmbeddingTable, HistoryMix, Pooling, Tower
from clickwise.models.checks import check_dropout, check_embedding, check_widths
from clickwise.models.ranker import Ranker
from clickwise.registry import register_model
from clickwise.schema import PADDING_ROW, InputSpec

_Sequence = tuple[slice, range]


@register_model("two_tower")
class TwoTower(Ranker):
    """logit = <u, v> / tau + b, u = `Tower` of the query's features, v = `Tower` of the item's.

    Neither tower sees the other's features, so that the vectors of all items can be made once and searched by dot
    product. Both look their ids up in one table. A sequence of past items is one vector of its tower's input: the mean
    or sum of its entries, or, with `attention`, as `AttentionPooling` weighs them; with `gamma` it is then mapped and
    weighed against the rest, as in SimpleX (`HistoryMix`). Trained for retrieval, as it is unless told otherwise, only
    <u, v> counts and b stays where it was; trained on the logistic loss, the logit is one like any other.

    Reference: Huang et al. 2013, "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data";
    Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", Section 3; Mao et
    al. 2021, "SimpleX: A Simple and Strong Baseline for Collaborative Filtering", for gamma.
    """

    objective: ClassVar[str] = "sampled_softmax"

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Keys of both towers.

        embedding_dim: of the ids' vectors, which start as N(0, init_std^2). attention: over the entries of sequences.
        gamma: as in `HistoryMix`; none leaves sequences as they are. hidden_dims, dropout, batch_norm, normalize: as in
        `Tower`. query_dropout: share of the elements of u set to zero in training, the others scaled up. temperature:
        tau > 0, where it starts if `learn_temperature`.
        """

        embedding_dim: int = 64
        init_std: float = 0.01
        attention: bool = False
        gamma: float | None = None
        hidden_dims: tuple[int, ...] = ()
        dropout: float = 0.0
        query_dropout: float = 0.0
        batch_norm: bool = False
        normalize: bool = True
        temperature: float = 0.1
        learn_temperature: bool = False

        def __post_init__(self) -> None:
            check_embedding(self.embedding_dim, 0.0)
            require(0.0 < self.init_std < math.inf, "init_std", self.init_std, "a number > 0")
            check_widths("hidden_dims", self.hidden_dims, at_least=0)
            check_dropout("dropout", self.dropout)
            check_dropout("query_dropout", self.query_dropout)
            within = self.gamma is None or 0.0 <= self.gamma < 1.0
            require(within, "gamma", self.gamma, "a number in [0, 1), or none")
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
        self.table = EmbeddingTable(base.num_rows, config.embedding_dim, config.init_std)
        self.pooling, *self.poolings = (Pooling.of(part) for part in (base, *base.sides))
        self._places = [inputs.places(side) for side in base.sides]
        where = base.vectors()
        self._of_side = [[vector for f in side.fields for vector in where[f.name]] for side in base.sides]
        apart = config.attention or config.gamma is not None
        self._sequences = [_sequences(side) if apart else [] for side in base.sides]
        self.query_attention, self.item_attention = (
            nn.ModuleList(AttentionPooling(config.embedding_dim) for _ in sequences if config.attention)
            for sequences in self._sequences
        )
        self.query_mix, self.item_mix = (
            HistoryMix(config.embedding_dim, len(sequences), config.gamma)
            if sequences and config.gamma is not None
            else None
            for sequences in self._sequences
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
        """A side's vectors [B, K], of those of its ids [B, F, D]; sequences that are attended or mapped come last."""
        sequences = self._sequences[side]
        tower, attention, mix = (
            (self.query_tower, self.query_attention, self.query_mix),
            (self.item_tower, self.item_attention, self.item_mix),
        )[side]
        if sequences:
            entries = [place for _, vectors in sequences for place in vectors]
            others = v[:, [place for place in range(v.shape[1]) if place not in entries]]
            pooled = self._attended(attention, sequences, v, batch) if self.config.attention else v[:, entries]
            v = torch.cat([others, pooled], 1) if mix is None else mix(others, pooled)
        out: Tensor = tower(v, batch.dense)
        dropout = self.config.query_dropout
        return F.dropout(out, dropout, self.training) if dropout and side == 0 else out

    def _attended(self, attention: nn.ModuleList, sequences: list[_Sequence], v: Tensor, batch: Batch) -> Tensor:
        """One vector of each sequence [B, S, D], from those of its entries."""
        pooled = []
        for attend, (slots, vectors) in zip(attention, sequences, strict=True):
            filled = batch.sparse[:, slots] != PADDING_ROW
            pooled.append(attend(v[:, vectors.start : vectors.stop], filled))
        return torch.stack(pooled, 1)


def _sequences(side: InputSpec) -> list[_Sequence]:
    """The slots of each sequence, and which of the side's vectors its entries are."""
    vectors = side.vectors()
    return [(slots, vectors[field.name]) for field, slots in side.slots() if field.shares]
