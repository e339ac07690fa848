"""Distinct rows, gathering, pooling and its gradient against loops in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from clickwise.batch import Batch
from clickwise.distinct import Distinct, find_by_sorting
from clickwise.layers import Embedding, EmbeddingTable
from clickwise.layers.pooling import Pooling
from clickwise.native import Tier, kernels, set_threads
from clickwise.native.distinct import find_by_hashing
from clickwise.schema import Field, InputSpec
from kernel_tiers import kernel_tier
from model_inputs import SPECS, make_batch

CASES = [(spec, rows) for spec in SPECS for rows in (0, 1, 3, 131)]
every_case = pytest.mark.parametrize(("spec", "rows"), CASES)
DIMS = (1, 3, 8, 16, 21, 32, 64)


def groups_of(spec: InputSpec) -> torch.Tensor:
    return torch.tensor(spec.slot_starts(), dtype=torch.int32)


def check_distinct(found: Distinct, sparse: np.ndarray, groups: list[int]) -> None:
    """What `Distinct` promises, in loops."""
    rows, inverse, starts = found.rows.tolist(), found.inverse.numpy(), found.starts.tolist()
    assert rows[0] == 0 and len(set(rows)) == len(rows)
    assert inverse.shape == sparse.shape[::-1]
    for (b, s), row in np.ndenumerate(sparse):
        assert rows[inverse[s, b]] == row
    assert starts[0] == 1 and starts[-1] == len(rows)
    for g, (first, last) in enumerate(itertools.pairwise(groups)):
        assert set(rows[starts[g] : starts[g + 1]]) == set(sparse[:, first:last].flatten().tolist()) - {0}


@every_case
@pytest.mark.parametrize("find", [find_by_hashing, find_by_sorting])
def test_distinct_rows(isa, spec, rows, find):
    groups = groups_of(SPECS[spec])
    sparse = make_batch(SPECS[spec], rows).sparse
    check_distinct(find(sparse, groups), sparse.numpy(), groups.tolist())


@pytest.mark.parametrize("find", [find_by_hashing, find_by_sorting])
@pytest.mark.parametrize("value", [0, 7])
def test_distinct_rows_of_equal_ids(isa, find, value):
    sparse = torch.full((50, 4), value, dtype=torch.int32)
    found = find(sparse, torch.tensor([0, 4], dtype=torch.int32))
    check_distinct(found, sparse.numpy(), [0, 4])
    assert found.rows.tolist() == ([0] if value == 0 else [0, 7])


def test_hashing_gives_rows_in_the_order_of_first_appearance_whatever_collides(isa):
    rng = np.random.default_rng(0)
    column = rng.integers(1, 2**31 - 1, 3000).astype(np.int32)[rng.integers(0, 3000, 5000)]
    found = find_by_hashing(torch.from_numpy(column.reshape(-1, 1)), torch.tensor([0, 1], dtype=torch.int32))
    assert found.rows.tolist() == [0, *dict.fromkeys(column.tolist())]


@every_case
def test_slots_by_row_are_the_same_from_either_tier(spec, rows, isa):
    groups = groups_of(SPECS[spec])
    sparse = make_batch(SPECS[spec], rows).sparse
    for found in (find_by_hashing(sparse, groups), find_by_sorting(sparse, groups)):
        order, begins = found.slots_by_row
        ends = [*begins.tolist()[1:], len(order)]
        flat = sparse.flatten()
        for row, begin, end in zip(found.rows.tolist(), begins.tolist(), ends, strict=True):
            expected = [] if row == 0 else (flat == row).nonzero().flatten().tolist()
            assert order[begin:end].tolist() == expected


def pooled(table: np.ndarray, batch: Batch, spec: InputSpec, total: bool) -> np.ndarray:
    """[B, F, D] by loops over rows, fields and slots."""
    widths = [field.length if field.pooling == "none" else 1 for field in spec.fields]
    out = np.zeros((len(batch), sum(widths), table.shape[1]))
    for b in range(len(batch)):
        f = 0
        for (field, slots), width in zip(spec.slots(), widths, strict=True):
            ids = batch.sparse[b, slots].tolist()
            weights = [1.0] * len(ids)
            if spec.weighted:
                weights = batch.slot_weight[b, slots].tolist()
            for i, (row, weight) in enumerate(zip(ids, weights, strict=True)):
                out[b, f + i if field.pooling == "none" else f] += weight * table[row]
            if field.pooling == "mean":
                out[b, f] /= max(1, sum(row != 0 for row in ids))
            f += width
    return out.sum(1, keepdims=True) if total else out


@every_case
@pytest.mark.parametrize("total", [False, True])
def test_lookup_and_its_gradient_equal_loops(isa, spec, rows, total):
    """In training, in evaluation, and the gradient, which is that of a sum: <gradient, change> = change of the sum."""
    inputs = SPECS[spec]
    for dim in DIMS if rows == 3 else (1, 16):
        torch.manual_seed(dim)
        embedding = Embedding(inputs, dim, 1.0, total=total)
        batch = make_batch(inputs, rows, seed=dim)
        table = embedding.table.weight.double().numpy()
        seen = inputs if total else inputs.base  # crosses have first-order weights only
        expected = pooled(table, batch, seen, total)
        with kernel_tier(Tier.EMBEDDINGS):
            vectors = embedding(batch)
            np.testing.assert_allclose(vectors.detach().numpy(), expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(embedding.eval()(batch).numpy(), expected, rtol=1e-5, atol=1e-5)
            outer = torch.randn_like(vectors)
            vectors.backward(outer)
        assert not embedding.table._looked_up[0][1].grad[0].any()  # padding: fields share it, so nobody adds to it
        touched, gradient = embedding.table.take_gradients()
        assert set(touched.tolist()) == set(batch.sparse[:, : seen.num_slots].flatten().tolist()) - {0}
        for row, found in zip(touched.tolist(), gradient.numpy(), strict=True):
            one = np.zeros_like(table)
            one[row] = 1.0
            of_row = (pooled(one, batch, seen, total) * outer.numpy()).sum((0, 1))
            np.testing.assert_allclose(found, of_row, rtol=1e-4, atol=1e-5)


LARGE = InputSpec(
    fields=(
        Field(name="a", num_ids=3000),
        Field(name="tags", num_ids=50, length=5, weighted=True),
        Field(name="seen", num_ids=9000, length=3, pooling="none"),
        Field(name="b", num_ids=2),
    )
)


@pytest.mark.parametrize("dim", [1, 16])
def test_the_same_bits_for_any_number_of_threads(isa, dim):
    torch.manual_seed(0)
    embedding = Embedding(LARGE, dim, 1.0)
    batch = make_batch(LARGE, 2000)
    outer = torch.randn(2000, LARGE.num_vectors, dim)
    found = []
    before = kernels().threads()
    for threads in (1, 2, 5):
        set_threads(threads)
        again = Batch(batch.sparse, batch.dense, batch.slot_weight)
        vectors = embedding.train()(again)
        vectors.backward(outer)
        rows, gradient = embedding.table.take_gradients()
        found.append((vectors, embedding.eval()(again), rows, gradient))
    set_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_an_id_outside_the_table_is_refused(isa):
    table = EmbeddingTable(5, 16, 0.1)
    for id in (5, -1, 2**31 - 1):
        batch = Batch(torch.tensor([[1, id]], dtype=torch.int32), torch.zeros(1, 0))
        for training in (True, False):
            with pytest.raises(IndexError):
                table.train(training).lookup(batch)


def test_shapes_are_checked(isa):
    k, f, i = kernels(), np.zeros, np.int32
    with pytest.raises(ValueError, match=r"groups are not \[G \+ 1\]"):
        k.distinct(f((4, 3), i), np.array([0, 2], i), f(13, i), f(2, i), f((3, 4), i))
    with pytest.raises(ValueError, match=r"inverse is not \[S, B\]"):
        k.distinct(f((4, 3), i), np.array([0, 3], i), f(13, i), f(2, i), f((4, 3), i))
    with pytest.raises(ValueError, match=r"to is not \[U, D\]"):
        k.gather(f((4, 3), np.float32), f(2, i), f((2, 2), np.float32))
    with pytest.raises(ValueError, match=r"vectors are not \[F \+ 1\]"):
        k.pool_forward(
            f((4, 3), np.float32), f((2, 2), i), False, np.array([0, 2, 1, 2], i), None, f((2, 3, 3), np.float32)
        )


def test_pooling_none_is_one_field_of_single_vectors():
    pooling = Pooling.none(3)
    assert (pooling.groups, pooling.vectors, pooling.straight) == ((0, 3), (0, 1, 2, 3), True)
