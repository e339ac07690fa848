"""The distinct rows of a batch with crosses: found once for all fields, and sliced for those that are no crosses."""

from __future__ import annotations

import pytest
import torch

from clickwise import batch as batch_module
from clickwise.layers import Embedding, EmbeddingTable, Linear
from clickwise.native import Tier
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


def test_a_table_that_is_given_no_pooling_takes_every_slot() -> None:
    batch = make_batch(SPEC, 5)
    assert EmbeddingTable(SPEC.num_rows, 2, 1.0).lookup(batch).shape == (5, 10, 2)
