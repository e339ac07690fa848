"""The pair that kernels will replace: lookup, and gradients of touched rows."""

from __future__ import annotations

import pytest
import torch

from clickwise.batch import Batch
from clickwise.layers import Embedding, EmbeddingTable
from model_inputs import SPECS

IDS = torch.tensor([[3, 0, 5], [5, 5, 3], [0, 7, 0]], dtype=torch.int32)


def batch_of(ids: torch.Tensor) -> Batch:
    return Batch(ids, torch.zeros(len(ids), 0))


def table() -> EmbeddingTable:
    torch.manual_seed(0)
    return EmbeddingTable(10, 4, 1.0)


def test_padding_row_starts_at_zero_and_the_others_at_the_given_spread():
    torch.manual_seed(0)
    weight = EmbeddingTable(20_001, 4, 0.01).weight
    assert not weight[0].any()
    assert weight[1:].std().item() == pytest.approx(0.01, rel=0.02)
    assert not EmbeddingTable(5, 2, 0.0).weight.any()
    assert not weight.requires_grad


def test_lookup_gives_the_rows_of_the_ids():
    t = table()
    for training in (True, False):
        t.train(training)
        assert torch.equal(t.lookup(batch_of(IDS)), t.weight[IDS.long()])


def test_gradients_of_equal_rows_are_summed_and_padding_is_left_out():
    t = table()
    coefficients = torch.randn(3, 3, 4)
    (t.lookup(batch_of(IDS)) * coefficients).sum().backward()
    rows, gradient = t.take_gradients()
    assert rows.tolist() == [3, 5, 7]
    expected = torch.zeros(10, 4).index_add_(0, IDS.flatten().long(), coefficients.flatten(0, 1))
    torch.testing.assert_close(gradient, expected[[3, 5, 7]])
    assert t.take_gradients()[0].tolist() == []  # taken once


def test_two_lookups_in_one_step_are_summed():
    t = table()
    other = torch.tensor([[5, 9]], dtype=torch.int32)
    (t.lookup(batch_of(IDS)).sum() + 2 * t.lookup(batch_of(other)).sum()).backward()
    rows, gradient = t.take_gradients()
    assert rows.tolist() == [3, 5, 7, 9]
    assert gradient[:, 0].tolist() == [2.0, 5.0, 1.0, 2.0]


def test_dropped_and_unused_lookups_give_no_gradient():
    t = table()
    t.lookup(batch_of(IDS)).sum().backward()
    t.drop_gradients()
    t.lookup(batch_of(IDS))  # a forward pass without a backward one
    rows, gradient = t.take_gradients()
    assert rows.numel() == 0
    assert gradient.shape == (0, 4)


def test_evaluation_and_no_grad_remember_nothing():
    t = table()
    with torch.no_grad():
        t.lookup(batch_of(IDS))
    t.eval().lookup(batch_of(IDS))
    assert not t._looked_up


def test_the_same_bits_for_any_number_of_threads():
    ids = torch.randint(1, 40, (3000, 9), dtype=torch.int32, generator=torch.Generator().manual_seed(1))
    coefficients = torch.randn(3000, 9, 4, generator=torch.Generator().manual_seed(2))
    found = []
    threads = torch.get_num_threads()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        t = EmbeddingTable(40, 4, 0.1)
        (t.lookup(batch_of(ids)) * coefficients).sum().backward()
        found.append(t.take_gradients()[1])
    torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_an_empty_multi_valued_field_gives_zeros_and_no_nan():
    spec = SPECS["multi_valued"]
    embedding = Embedding(spec, 4)
    batch = batch_of(torch.zeros(2, spec.num_slots, dtype=torch.int32))
    assert embedding(batch).tolist() == torch.zeros(2, spec.num_vectors, 4).tolist()
