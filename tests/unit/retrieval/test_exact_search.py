"""Exact search against loops: the best items of each query that are not left out for it."""

from __future__ import annotations

import numpy as np
import pytest

from clickwise.retrieval.exact_search import best_items, most_popular, query_blocks, without
from clickwise.retrieval.found import Found
from clickwise.retrieval.held_out import RowLists

QUERIES, ITEMS = 30, 25


@pytest.fixture(scope="module")
def excluded() -> RowLists:
    rng = np.random.default_rng(0)
    query = np.concatenate([rng.integers(0, QUERIES - 1, 200), np.zeros(ITEMS, np.int64)])  # 0 has all, the last none
    return RowLists.of(query, np.concatenate([rng.integers(0, ITEMS, 200), np.arange(ITEMS)]), QUERIES)


def by_loops(score: np.ndarray, excluded: RowLists, k: int) -> Found:
    """The first k by falling score, among equals by row."""
    rows, scores = np.full((len(score), k), -1), np.full((len(score), k), -np.inf, np.float32)
    for q in range(len(score)):
        left = set(range(ITEMS)) - set(excluded.take(np.array([q])).rows.tolist())
        for place, row in enumerate(sorted(left, key=lambda row: (-score[q, row], row))[:k]):
            rows[q, place], scores[q, place] = row, score[q, row]
    return Found(rows, scores)


def same(a: Found, b: Found) -> None:
    np.testing.assert_array_equal(a.rows, b.rows)
    np.testing.assert_allclose(a.scores, b.scores, rtol=1e-5)
    assert a.rows.dtype == np.int64 and a.scores.dtype == np.float32


@pytest.mark.parametrize("k", [1, 7, ITEMS, 40])
def test_best_items(k: int, excluded: RowLists) -> None:
    rng = np.random.default_rng(1)
    queries, items = (rng.normal(size=(n, 6)).astype(np.float32) for n in (QUERIES, ITEMS))
    same(best_items(queries, items, k, excluded), by_loops(queries @ items.T, excluded, k))


@pytest.mark.parametrize("k", [1, 7, ITEMS, 40])
def test_most_popular(k: int, excluded: RowLists) -> None:
    popularity = np.random.default_rng(2).integers(0, 9, ITEMS)  # many are alike
    expected = by_loops(np.tile(popularity, (QUERIES, 1)), excluded, k)
    search = most_popular(popularity, excluded)
    same(search(np.arange(QUERIES), k), expected)
    some = np.array([4, 4, 29])
    same(search(some, k), Found(*(part[some] for part in expected)))


def test_without_leaves_out_of_what_any_search_found(excluded: RowLists) -> None:
    score = np.random.default_rng(3).normal(size=(QUERIES, ITEMS)).astype(np.float32)
    nothing = RowLists.of(np.empty(0, np.int64), np.empty(0, np.int64), QUERIES)
    longest = int(np.delete(excluded.counts, 0).max())
    found = by_loops(score, nothing, 5 + longest)
    same(without(found, excluded, 5, ITEMS), by_loops(score, excluded, 5))
    there = np.arange(8) < 6
    short = Found(np.where(there, found.rows[:, :8], -1), np.where(there, found.scores[:, :8], -np.inf))
    left = without(short, excluded, 8, ITEMS)
    for q in range(QUERIES):
        kept = [row for row in short.rows[q, :6].tolist() if row not in excluded.take(np.array([q])).rows]
        assert left.rows[q].tolist() == [*kept, *[-1] * (8 - len(kept))]


def test_blocks_have_every_query_once_and_few_scores() -> None:
    assert np.concatenate(list(query_blocks(1000, 3))).tolist() == list(range(1000))
    assert {len(block) for block in query_blocks(1024, 3)} == {256}
    assert max(len(block) for block in query_blocks(1000, 100_000)) == (1 << 22) // 100_000
    assert max(len(block) for block in query_blocks(1000, 10**8)) == 8
    assert list(query_blocks(0, 10)) == []
    assert [block.tolist() for block in query_blocks(1, 0)] == [[0]]
