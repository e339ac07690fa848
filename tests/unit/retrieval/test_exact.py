from __future__ import annotations

import numpy as np
import pytest

from clickwise.retrieval import exact
from clickwise.retrieval.exact import ExactIndex
from clickwise.retrieval.found import Found


def naive(vectors: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray) -> list[list[int]]:
    """Sorted by score, then by row, one product at a time."""
    found = []
    for query in queries.astype(np.float64):
        scores = {row: float(vectors[row].astype(np.float64) @ query) for row in np.flatnonzero(allowed).tolist()}
        found.append(sorted(scores, key=lambda row: (-scores[row], row))[:k])
    return found


@pytest.mark.parametrize("k", [1, 7, 600, 2600])
@pytest.mark.parametrize("at_once", [1 << 22, 30_000, 5])
def test_in_blocks_of_any_size_every_row_counts_and_of_equals_the_lower(
    k: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "_SCORES_AT_ONCE", at_once)
    monkeypatch.setattr(exact, "_QUERIES_AT_ONCE", 4)
    rng = np.random.default_rng(k)
    vectors = rng.integers(-3, 4, (2500, 3)).astype(np.float32)  # whole numbers: sums are exact and often equal
    queries = rng.integers(-3, 4, (6, 3)).astype(np.float32)
    index = ExactIndex.build(ExactIndex.Config(), vectors)
    for allowed in (np.ones(2500, bool), rng.random(2500) < 0.4):
        found = index.search(queries, k, None if allowed.all() else allowed)
        expected = naive(vectors, queries, k, allowed)
        assert [row[row >= 0].tolist() for row in found.rows] == expected


def test_the_best_row_is_found_wherever_it_is() -> None:
    queries = np.ones((1, 2), np.float32)
    for row in (0, 1, 1023, 1024, 1025, 3071, 3072, 4999):
        vectors = np.zeros((5000, 2), np.float32)
        vectors[row] = 1.0
        assert ExactIndex.of(vectors).search(queries, 1).rows.tolist() == [[row]]


def test_no_more_scores_than_the_bound_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = exact._with_better

    def noted(best: Found, scores: np.ndarray, first_row: int) -> Found:
        sizes.append(scores.size)
        return real(best, scores, first_row)

    monkeypatch.setattr(exact, "_with_better", noted)
    monkeypatch.setattr(exact, "_SCORES_AT_ONCE", 20_000)
    ExactIndex.of(np.ones((9000, 2), np.float32)).search(np.ones((10, 2), np.float32), 5)
    assert max(sizes) <= 20_000 and sum(sizes) == 90_000


def test_numbers_that_overflow_are_no_error() -> None:
    index = ExactIndex.of(np.array([[3e38, 3e38], [1, 1], [3e38, -3e38]], np.float32))
    found = index.search(np.array([[3e38, 3e38]], np.float32), 3)
    assert found.rows[0, 0] == 0 and np.isinf(found.scores[0, 0])
    assert not np.isnan(found.scores).any()
