"""Input specs of every kind, random batches that fit them, and rows in memory, for tests of models and training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.schema import Field, InputSpec

SPECS = {
    "plain": InputSpec(fields=tuple(Field(name=f"f{i}", num_ids=n) for i, n in enumerate((7, 5, 9))), item=("f1",)),
    "with_dense": InputSpec(
        fields=(Field(name="a", num_ids=6), Field(name="b", num_ids=8)),
        dense=("x", "y"),
        item=("b", "y"),
    ),
    "multi_valued": InputSpec(
        fields=(
            Field(name="a", num_ids=6),
            Field(name="tags", num_ids=10, length=4, pooling="mean"),
            Field(name="b", num_ids=5),
            Field(name="seen", num_ids=9, length=3, pooling="sum"),
            Field(name="last", num_ids=7, length=2, pooling="none"),
        ),
        dense=("x",),
        item=("tags", "b"),
    ),
    "weighted": InputSpec(
        fields=(
            Field(name="a", num_ids=6, weighted=True),
            Field(name="tags", num_ids=10, length=3, pooling="mean", weighted=True),
            Field(name="seen", num_ids=9, length=2, pooling="sum"),
        ),
        item=("seen",),
    ),
    "crosses": InputSpec(
        fields=(
            Field(name="a", num_ids=6),
            Field(name="tags", num_ids=8, length=3, pooling="mean", weighted=True),
            Field(name="b", num_ids=5),
            Field(name="a_x_b", num_ids=20, pooling="sum", cross=True),
            Field(name="a_x_tags", num_ids=30, length=4, pooling="sum", cross=True),
        ),
        dense=("x",),
        item=("b",),
    ),
    "sequences": InputSpec(
        fields=(
            Field(name="a", num_ids=6),
            Field(name="item", num_ids=9),
            Field(name="seen", num_ids=9, length=4, pooling="mean", shares="item"),
            Field(name="bought", num_ids=9, length=2, pooling="sum", shares="item"),
            Field(name="tags", num_ids=7, length=3, pooling="mean", weighted=True),
            Field(name="liked", num_ids=7, length=2, shares="tags"),
            Field(name="b", num_ids=5),
            Field(name="a_x_item", num_ids=20, pooling="sum", cross=True),
        ),
        dense=("x",),
        item=("item", "b"),
    ),
    "no_sparse": InputSpec(dense=("x", "y", "z"), item=("z",)),
}


def make_batch(spec: InputSpec, rows: int, seed: int = 0) -> Batch:
    """A random labelled batch: slots of multi-valued fields are padding in two cases out of five."""
    rng = np.random.default_rng(seed)
    columns = []
    for (field, slots), offset in zip(spec.slots(), spec.offsets(), strict=True):
        ids = offset + rng.integers(0, field.num_ids, (rows, slots.stop - slots.start))
        if field.length > 1 or field.shares:
            ids[rng.random(ids.shape) < 0.4] = 0
        columns.append(ids)
    sparse = np.concatenate(columns, 1) if columns else np.zeros((rows, 0))
    return Batch.of(
        sparse.astype(np.int32),
        rng.normal(size=(rows, spec.num_dense)).astype(np.float32),
        rng.uniform(0.5, 2.0, sparse.shape).astype(np.float32) if spec.weighted else None,
        (rng.random(rows) < 0.4).astype(np.float32),
    )


def take(batch: Batch, index: torch.Tensor) -> Batch:
    """The rows `index` of a batch."""
    parts = (batch.sparse, batch.dense, batch.slot_weight, batch.label, batch.weight)
    return Batch(*(None if part is None else part[index] for part in parts))


class InMemoryRows:
    """A whole data set as one batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch)

    def batches(self, batch_size: int, seed: int | None, start: int = 0) -> Iterator[Batch]:
        order = np.arange(len(self)) if seed is None else np.random.default_rng(seed).permutation(len(self))
        for first in range(start * batch_size, len(self), batch_size):
            yield take(self.batch, torch.from_numpy(order[first : first + batch_size]))
