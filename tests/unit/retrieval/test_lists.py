from __future__ import annotations

import numpy as np
import pytest

from clickwise.retrieval.lists import diversified, within_caps


@pytest.mark.parametrize("most", [1, 2, 3])
def test_caps_keep_the_first_of_each_kind(most: int) -> None:
    kinds = np.random.default_rng(most).integers(-1, 5, 60)
    kept, count = [], dict.fromkeys(range(5), 0)
    for kind in kinds.tolist():
        kept.append(kind < 0 or count[kind] < most)
        if kind >= 0:
            count[kind] += 1
    np.testing.assert_array_equal(within_caps(kinds, most), kept)


def test_no_list_has_no_caps() -> None:
    assert within_caps(np.empty(0, np.int64), 2).shape == (0,)


def naive_mmr(relevance, vectors, k, weight):
    taken: list[int] = []
    while len(taken) < min(k, len(relevance)):
        best, best_gain = -1, -np.inf
        for i in range(len(relevance)):
            if i in taken:
                continue
            cosines = [
                float(vectors[i] @ vectors[j]) / float(np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j]))
                for j in taken
            ]
            gain = (1.0 - weight) * relevance[i] / max(relevance) - weight * max(cosines, default=0.0)
            if gain > best_gain:
                best, best_gain = i, gain
        taken.append(best)
    return taken


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
def test_diversity_takes_what_the_loops_take(weight: float) -> None:
    rng = np.random.default_rng(3)
    relevance, vectors = rng.random(30), rng.normal(size=(30, 4))
    assert diversified(relevance, vectors, 12, weight).tolist() == naive_mmr(relevance, vectors, 12, weight)


def test_without_weight_the_order_is_that_of_relevance_and_with_it_twins_part() -> None:
    relevance = np.array([0.9, 0.8, 0.7])
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert diversified(relevance, vectors, 3, 0.0).tolist() == [0, 1, 2]
    assert diversified(relevance, vectors, 3, 0.5).tolist() == [0, 2, 1]
    assert diversified(np.zeros(3), vectors, 5, 0.5).tolist() == [0, 2, 1]  # fewer than asked for, and no relevance
