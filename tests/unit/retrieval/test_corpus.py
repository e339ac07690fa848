"""What rows show, told apart by its features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.retrieval import corpus as corpora
from clickwise.retrieval.corpus import gather, names_of


def items(count: int, seed: int = 0) -> Batch:
    item = np.random.default_rng(seed).integers(1, 9, (count, 1))
    return Batch.of(np.concatenate([item, 10 + item % 3], 1).astype(np.int32), (item / 2).astype(np.float32))


def pieces(batch: Batch, rows: int) -> Iterator[Batch]:
    for start in range(0, len(batch), rows):
        yield batch.take(torch.arange(start, min(start + rows, len(batch))))


def test_every_item_once_with_its_count(monkeypatch) -> None:
    batch = items(500)
    truth = np.bincount(batch.sparse[:, 0].numpy(), minlength=9)
    for at_once in (1, 1 << 20):
        monkeypatch.setattr(corpora, "_MERGE_AT", at_once)
        found = gather(pieces(batch, 64))
        assert sorted(found.items.sparse[:, 0].tolist()) == np.flatnonzero(truth).tolist()
        assert found.counts.tolist() == truth[found.items.sparse[:, 0].numpy()].tolist()
        assert found.items.sparse[:, 1].tolist() == (10 + found.items.sparse[:, 0] % 3).tolist()
        assert torch.equal(found.items.dense[:, 0], found.items.sparse[:, 0] / 2)
        assert found.names.tolist() == names_of(found.items).tolist() == sorted(found.names.tolist())


def test_at_most_so_many_are_those_of_the_lowest_names_in_any_order(monkeypatch) -> None:
    batch = items(500)
    whole = gather([batch])
    for at_once in (1, 1 << 20):
        monkeypatch.setattr(corpora, "_MERGE_AT", at_once)
        for rows in (batch, batch.take(torch.randperm(500, generator=torch.Generator().manual_seed(1)))):
            few = gather(pieces(rows, 50), most=3)
            assert few.names.tolist() == whole.names[:3].tolist()
            assert torch.equal(few.items.sparse, whole.items.sparse[:3])
    assert len(gather([batch], most=100)) == len(whole) == 8


def test_find_says_where_an_item_is_and_minus_one_where_it_is_not() -> None:
    found = gather([items(500)])
    names = np.concatenate([found.names[::-1], np.array([12345, 2**64 - 1], np.uint64)])
    assert found.find(names).tolist() == [*range(len(found) - 1, -1, -1), -1, -1]


def test_names_tell_every_part_apart_but_not_the_zeros() -> None:
    def name(sparse, dense, weight=None):
        return int(names_of(Batch.of(np.int32([sparse]), np.float32([dense]), weight))[0])

    base = name([1, 2], [0.5])
    others = [name([2, 1], [0.5]), name([1, 2], [0.25]), name([1, 3], [0.5]), name([1, 2], [0.5], np.float32([[1, 0]]))]
    assert len({base, *others}) == 5
    assert name([1, 2], [0.0]) == name([1, 2], [-0.0])
