"""Lists of items by query, and what of a search's answers they hit."""

from __future__ import annotations

import numpy as np

from clickwise.retrieval.held_out import HeldOut, RowLists, joined

QUERIES, ITEMS = 20, 15


def pairs(count: int, seed: int, lowest: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, QUERIES - 2, count), rng.integers(lowest, ITEMS, count)  # the last queries have none


def sets(query: np.ndarray, rows: np.ndarray) -> list[list[int]]:
    found: list[set[int]] = [set() for _ in range(QUERIES)]
    for q, row in zip(query.tolist(), rows.tolist(), strict=True):
        if row >= 0:
            found[q].add(row)
    return [sorted(items) for items in found]


def test_lists_are_the_distinct_rows_of_each_query() -> None:
    query, rows = pairs(200, 0, lowest=-3)
    lists, truth = RowLists.of(query, rows, QUERIES), sets(query, rows)
    assert len(lists) == QUERIES
    assert [lists.rows[a:b].tolist() for a, b in zip(lists.start, lists.start[1:], strict=False)] == truth
    assert lists.counts.tolist() == [len(items) for items in truth]
    assert lists.query.tolist() == [q for q, items in enumerate(truth) for _ in items]
    for wanted in ([3, 0, 19, 3], list(range(20)), []):
        part = lists.take(np.array(wanted, np.int64))
        assert part.rows.tolist() == [row for q in wanted for row in truth[q]]
        assert part.counts.tolist() == [len(truth[q]) for q in wanted]


def test_unknown_items_count_by_their_names_and_are_in_no_list() -> None:
    query = np.array([0, 0, 0, 0, 1, 2])
    names = np.array([7, 7, 8, 9, 9, 5], np.uint64)
    rows = np.array([-1, -1, -1, 4, 4, 2])
    held_out = HeldOut.of(4, ITEMS, (query, names, rows), (np.array([0, 0, 1]), np.array([3, -1, 3])))
    assert held_out.num_relevant.tolist() == [3, 1, 1, 0]
    assert held_out.relevant.counts.tolist() == [1, 1, 1, 0]
    assert held_out.excluded.counts.tolist() == [1, 1, 0, 0]
    assert len(held_out) == 4


def test_hits_are_what_is_relevant_for_that_query() -> None:
    query, rows = pairs(150, 1)
    held_out = HeldOut.of(QUERIES, ITEMS, (query, rows.astype(np.uint64), rows), (query[:0], rows[:0]))
    truth = sets(query, rows)
    asked = np.array([19, 4, 0, 7, 4])
    found = np.random.default_rng(2).integers(-1, ITEMS, (5, 12))
    expected = [[row in truth[q] for row in found[i].tolist()] for i, q in enumerate(asked.tolist())]
    assert held_out.hits(asked, found).tolist() == expected
    assert not held_out.hits(np.array([18, 19]), found[:2]).any()
    last = np.array([[ITEMS - 1, -1]])  # -1 of a query must not be the last item of the one before
    assert not held_out.hits(np.array([0, 1]), np.repeat(last, 2, 0))[:, 1].any()


def test_joined_puts_columns_behind_each_other() -> None:
    first, second = joined([(np.array([1]), np.array([2])), (np.array([3, 4]), np.array([5, 6]))])
    assert first.tolist() == [1, 3, 4] and second.tolist() == [2, 5, 6]
