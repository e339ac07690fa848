"""Embeddings of fields, pooled: ids in, one vector a field out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers.embedding_table import EmbeddingTable
from clickwise.layers.pooling import Pooling
from clickwise.schema import InputSpec


class Embedding(nn.Module):
    """Vectors [B, F, D] of all fields but crosses, from one shared table of rows.

    A field with pooling "sum" gives the sum over its slots of (slot weight) * (row); "mean" divides that by the number
    of slots that are not padding (an empty field gives zeros); "none" gives one vector a slot.

    Args:
        inputs: the fields.
        dim: D.
        init_std: standard deviation of the initial rows.
        dropout: share of the vectors' elements set to zero in training, the others scaled up, in [0, 1).
        total: give the sum of all vectors instead, crosses included, [B, 1, D].
    """

    def __init__(
        self, inputs: InputSpec, dim: int, init_std: float = 0.01, *, dropout: float = 0.0, total: bool = False
    ) -> None:
        super().__init__()
        self.dropout = dropout
        inputs = inputs if total else inputs.base
        self.pooling = Pooling.of(inputs, total)
        self.table = EmbeddingTable(inputs.num_rows, dim, init_std)

    def forward(self, batch: Batch) -> Tensor:
        vectors = self.table.lookup(batch, self.pooling)
        return F.dropout(vectors, self.dropout, self.training) if self.dropout else vectors
