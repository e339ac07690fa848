"""Embeddings of all fields, pooled: ids in, one vector a field out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers.embedding_table import EmbeddingTable
from clickwise.schema import PADDING_ROW, Field, InputSpec


class Embedding(nn.Module):
    """Vectors [B, F, D] of all fields, from one shared table of rows.

    A field with pooling "sum" gives the sum over its slots of (slot weight) * (row); "mean" divides that by the number
    of slots that are not padding (an empty field gives zeros); "none" gives one vector a slot. When every field has one
    slot without weight, the looked-up rows are the result and pooling costs nothing.

    Args:
        inputs: the fields.
        dim: D.
        init_std: standard deviation of the initial rows.
    """

    def __init__(self, inputs: InputSpec, dim: int, init_std: float = 0.01) -> None:
        super().__init__()
        self.num_vectors = inputs.num_vectors
        self.dim = dim
        self.table = EmbeddingTable(inputs.num_rows, dim, init_std)
        self._weighted = inputs.weighted
        self._segments = _segments(inputs)
        self._straight = all(field is None for field, _ in self._segments)

    def forward(self, batch: Batch) -> Tensor:
        if not self.num_vectors:
            return batch.dense.new_zeros(len(batch), 0, self.dim)
        rows = self.table.lookup(batch)  # [B, S, D]
        if self._weighted and batch.slot_weight is not None:
            rows = rows * batch.slot_weight.unsqueeze(2)
        if self._straight:
            return rows
        vectors = [_pool(field, rows[:, slots], batch.sparse[:, slots]) for field, slots in self._segments]
        return torch.cat(vectors, 1)  # [B, F, D]


def _segments(inputs: InputSpec) -> list[tuple[Field | None, slice]]:
    """Runs of slots: those that are vectors already (None), merged with their neighbours, and the fields to pool."""
    segments: list[tuple[Field | None, slice]] = []
    for field, slots in inputs.slots():
        if field.length > 1 and field.pooling != "none":
            segments.append((field, slots))
        elif segments and segments[-1][0] is None:
            segments[-1] = (None, slice(segments[-1][1].start, slots.stop))
        else:
            segments.append((None, slots))
    return segments


def _pool(field: Field | None, rows: Tensor, ids: Tensor) -> Tensor:
    """One segment's vectors [B, *, D] from its rows [B, L, D] and ids [B, L]. Padding rows are zero and add nothing."""
    if field is None:
        return rows
    total = rows.sum(1, keepdim=True)
    if field.pooling == "sum":
        return total
    filled = (ids != PADDING_ROW).sum(1).clamp(min=1)
    return total / filled.view(-1, 1, 1)
