"""The distinct rows of a batch with crosses: found once for all fields, and sliced for those that are no crosses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickwise import batch as batch_module
from clickwise.layers import Embedding, EmbeddingTable, Linear
from clickwise.native import Tier
from clickwise.schema import PADDING_ROW, Field, InputSpec
from model_inputs import SPECS, make_batch

SPEC = SPECS["crosses"]


@pytest.fixture(params=["compiled", "torch"])
def searches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The slots of each search, with the kernels and without."""
    if request.param == "torch":
        monkeypatch.setattr(batch_module, "tier", lambda: Tier(0))
    made: list[int] = []
    for name in ("find_by_hashing", "find_by_sorting"):
        real = getattr(batch_module, name)

        def counted(sparse, groups, real=real):  # type: ignore[no-untyped-def]
            made.append(sparse.shape[1])
            return real(sparse, groups)

        monkeypatch.setattr(batch_module, name, counted)
    return made


def test_a_slice_of_all_fields_is_what_a_search_of_the_base_fields_finds(searches: list[int]) -> None:
    whole, base = make_batch(SPEC, 40), make_batch(SPEC, 40)
    whole.distinct_of(SPEC.slot_starts())
    sliced, alone = (b.distinct_of(SPEC.base.slot_starts()) for b in (whole, base))
    assert searches == [10, 5]
    for name in ("rows", "inverse", "groups", "starts"):
        assert torch.equal(getattr(sliced, name), getattr(alone, name)), name
    for mine, theirs in zip(sliced.slots_by_row, alone.slots_by_row, strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(sliced.rows[sliced.inverse.t().long()], whole.sparse[:, :5])


def test_a_step_with_vectors_and_weights_searches_once(searches: list[int]) -> None:
    batch = make_batch(SPEC, 30)
    batch.distinct_of(SPEC.slot_starts())  # as the reader thread does
    (Linear(SPEC)(batch).sum() + Embedding(SPEC, 4)(batch).sum()).backward()
    assert searches == [10]


def test_gradients_of_base_rows_do_not_see_the_crosses(searches: list[int]) -> None:
    batch, other = make_batch(SPEC, 30), make_batch(SPEC, 30)
    batch.distinct_of(SPEC.slot_starts())
    found = []
    for b in (batch, other):
        torch.manual_seed(0)
        embedding = Embedding(SPEC, 4, init_std=1.0)
        (embedding(b) ** 2).sum().backward()
        rows, gradient = embedding.table.take_gradients()
        assert int(rows.max()) < SPEC.base.num_rows == len(embedding.table.weight)
        found.append((rows, gradient))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.lists(
        st.tuples(st.integers(2, 6), st.integers(1, 3), st.lists(st.integers(1, 4), max_size=3)), max_size=4
    ),
    crossed=st.booleans(),
    rows=st.integers(1, 20),
    seed=st.integers(0, 2**20),
)
def test_distinct_rows_of_fields_that_share_are_those_of_a_brute_force_search(
    searches: list[int], fields: list[tuple[int, int, list[int]]], crossed: bool, rows: int, seed: int
) -> None:
    found = [Field(name="first", num_ids=3)]
    for place, (num_ids, length, sharing) in enumerate(fields):
        name = f"f{place}"
        found.append(Field(name=name, num_ids=num_ids, length=length))
        found += [Field(name=f"{name}.{i}", num_ids=num_ids, length=n, shares=name) for i, n in enumerate(sharing)]
    found += [Field(name="x", num_ids=5, cross=True)] if crossed else []
    spec = InputSpec(fields=tuple(found))
    batch = make_batch(spec, rows, seed)
    for groups in (spec.slot_starts(), spec.base.slot_starts()):
        distinct, sparse = batch.distinct_of(groups), batch.sparse[:, : groups[-1]]
        used = set(sparse.flatten().tolist()) | {PADDING_ROW}
        assert sorted(distinct.rows.tolist()) == sorted(used)
        assert torch.equal(distinct.rows[distinct.inverse.t().long()], sparse)
        for first, last, begin, end in zip(
            groups, groups[1:], distinct.starts.tolist(), distinct.starts[1:].tolist(), strict=False
        ):
            of_group = set(sparse[:, first:last].flatten().tolist()) - {PADDING_ROW}
            assert set(distinct.rows[begin:end].tolist()) == of_group
        order, begins = distinct.slots_by_row
        for position, row in enumerate(distinct.rows.tolist()):
            end = int(begins[position + 1]) if position + 1 < len(begins) else len(order)
            where = order[int(begins[position]) : end].tolist()
            same = (sparse.flatten() == row).nonzero().squeeze(1).tolist() if row != PADDING_ROW else []
            assert where == same


def test_a_table_that_is_given_no_pooling_takes_every_slot() -> None:
    batch = make_batch(SPEC, 5)
    assert EmbeddingTable(SPEC.num_rows, 2, 1.0).lookup(batch).shape == (5, 10, 2)
