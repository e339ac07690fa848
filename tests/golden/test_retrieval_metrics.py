"""Metrics of retrieval against numbers worked by hand and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clickwise.metrics.exposure import Coverage, mean_log_popularity, novelty_at_k, popularity_bias_at_k
from clickwise.metrics.retrieval import average_precision_at_k, hit_rate_at_k, mrr_at_k, ndcg_at_k, recall_at_k

# three queries, lists of five: hits at places 2 and 4 of 3 relevant; at 1 of 8; none of 2
HITS = np.array([[0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
RELEVANT = np.array([3, 8, 2])


def test_worked_by_hand():
    np.testing.assert_allclose(recall_at_k(HITS, RELEVANT), [2 / 3, 1 / 8, 0])
    np.testing.assert_allclose(hit_rate_at_k(HITS, RELEVANT), [1, 1, 0])
    np.testing.assert_allclose(mrr_at_k(HITS, RELEVANT), [1 / 2, 1, 0])
    # 1/log2(3) = .63093, 1/log2(5) = .43068; ideal of three places 2.13093, of five 2.94846
    np.testing.assert_allclose(ndcg_at_k(HITS, RELEVANT), [1.06161 / 2.13093, 1 / 2.94846, 0], atol=1e-5)
    # precision at the hits: 1/2 and 2/4, over 3; 1, over min(5, 8)
    np.testing.assert_allclose(average_precision_at_k(HITS, RELEVANT), [1 / 3, 1 / 5, 0])


def test_against_plain_loops():
    rng = np.random.default_rng(0)
    hits = rng.random((300, 20)) < 0.15
    relevant = hits.sum(1) + rng.integers(0, 40, 300)
    relevant[relevant == 0] = 1
    for i in range(300):
        found = [place for place in range(1, 21) if hits[i, place - 1]]
        most = min(20, int(relevant[i]))
        ideal = sum(1 / math.log2(1 + place) for place in range(1, most + 1))
        row, wanted = hits[i : i + 1], relevant[i : i + 1]
        assert recall_at_k(row, wanted)[0] == pytest.approx(len(found) / relevant[i])
        assert ndcg_at_k(row, wanted)[0] == pytest.approx(sum(1 / math.log2(1 + place) for place in found) / ideal)
        assert mrr_at_k(row, wanted)[0] == pytest.approx(1 / found[0] if found else 0.0)
        precisions = [sum(p <= place for p in found) / place for place in found]
        assert average_precision_at_k(row, wanted)[0] == pytest.approx(sum(precisions) / most)


POPULARITY = np.array([64, 16, 4, 1, 0])


def test_novelty_and_popularity_bias_worked_by_hand():
    lists = np.array([[0, 1], [2, -1], [3, 4], [-1, -1]])
    total = 128
    # -log2 of 1/2, 1/8, 1/32, 1/128; the item that nobody chose counts as one that one did
    np.testing.assert_allclose(novelty_at_k(lists, POPULARITY, total), [2.0, 5.0, 7.0, np.nan])
    wanted = mean_log_popularity(np.array([0, 1, 1, 2, 3]), POPULARITY[[1, 0, 2, 2, 2]], 4)
    np.testing.assert_allclose(wanted, np.log([16, 16, 4, 4]))
    np.testing.assert_allclose(
        popularity_bias_at_k(lists, POPULARITY, wanted), [np.log(32 / 16), np.log(4 / 16), np.log(1 / 4), np.nan]
    )


def test_as_popular_as_what_people_choose_is_no_bias():
    rng = np.random.default_rng(5)
    popularity = rng.integers(1, 1000, 50)
    lists = rng.integers(0, 50, (4000, 8))
    relevant = rng.integers(0, 50, (4000, 3))
    wanted = mean_log_popularity(np.arange(4000).repeat(3), popularity[relevant.ravel()], 4000)
    assert abs(popularity_bias_at_k(lists, popularity, wanted).mean()) < 0.03
    best = np.argsort(-popularity)[:8]
    assert popularity_bias_at_k(np.tile(best, (4000, 1)), popularity, wanted).mean() > 0.5


def test_coverage_and_its_jackknife_by_loops():
    rng = np.random.default_rng(1)
    share_of = 1.0 / np.arange(1, 61)
    lists = np.array([rng.choice(60, 4, replace=False, p=share_of / share_of.sum()) for _ in range(30)])
    lists[rng.random((30, 4)) < 0.1] = -1
    coverage = Coverage(60)
    for start in range(0, 30, 7):
        coverage.update(lists[start : start + 7])

    def share(rows: np.ndarray) -> float:
        return len(set(rows.ravel().tolist()) - {-1}) / 60

    assert coverage.value == pytest.approx(share(lists))
    without = [share(np.delete(lists, i, 0)) for i in range(30)]
    spread = sum((value - np.mean(without)) ** 2 for value in without)
    assert coverage.stderr == pytest.approx(math.sqrt(29 / 30 * spread))


def test_coverage_of_nothing_is_not_a_number():
    assert math.isnan(Coverage(0).value)
    assert Coverage(3).value == 0.0 and math.isnan(Coverage(3).stderr)
