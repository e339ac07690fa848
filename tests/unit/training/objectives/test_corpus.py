"""Which items rows show, told apart by their features."""

from __future__ import annotations

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.training.objectives import corpus as corpora
from clickwise.training.objectives.corpus import gather, names_of
from model_inputs import InMemoryRows


def rows(count: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    item = rng.integers(1, 9, (count, 1))
    sparse = np.concatenate([rng.integers(20, 25, (count, 1)), item, 10 + item % 3], 1)
    label = (rng.random(count) < 0.5).astype(np.float32)
    return Batch.of(sparse.astype(np.int32), (item / 2).astype(np.float32), None, label)


def item_of(batch: Batch) -> Batch:
    return batch.part([1, 2], [0])


def test_every_clicked_item_once_with_its_count(monkeypatch) -> None:
    batch = rows(500)
    truth = np.bincount(batch.sparse[:, 1].numpy()[batch.label.numpy() > 0.5], minlength=9)
    for at_once in (1, 1 << 20):
        monkeypatch.setattr(corpora, "_MERGE_AT", at_once)
        monkeypatch.setattr(corpora, "_READ_ROWS", 64)
        found = gather(InMemoryRows(batch), item_of)
        assert sorted(found.items.sparse[:, 0].tolist()) == np.flatnonzero(truth).tolist()
        assert found.counts.tolist() == truth[found.items.sparse[:, 0].numpy()].tolist()
        assert found.items.sparse[:, 1].tolist() == (10 + found.items.sparse[:, 0] % 3).tolist()
        assert torch.equal(found.items.dense[:, 0], found.items.sparse[:, 0] / 2)
        assert found.names.tolist() == names_of(found.items).tolist() == sorted(found.names.tolist())


def test_find_says_where_an_item_is_and_minus_one_where_it_is_not() -> None:
    found = gather(InMemoryRows(rows(500)), item_of)
    names = np.concatenate([found.names[::-1], np.array([12345, 2**64 - 1], np.uint64)])
    assert found.find(names).tolist() == [*range(len(found) - 1, -1, -1), -1, -1]


def test_names_tell_every_part_apart_but_not_the_zeros() -> None:
    def name(sparse, dense, weight=None):
        return int(names_of(Batch.of(np.int32([sparse]), np.float32([dense]), weight))[0])

    base = name([1, 2], [0.5])
    others = [name([2, 1], [0.5]), name([1, 2], [0.25]), name([1, 3], [0.5]), name([1, 2], [0.5], np.float32([[1, 0]]))]
    assert len({base, *others}) == 5
    assert name([1, 2], [0.0]) == name([1, 2], [-0.0])
