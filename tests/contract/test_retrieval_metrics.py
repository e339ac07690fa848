"""What every registered metric of retrieval keeps to."""

from __future__ import annotations

import numpy as np
import pytest

import clickwise.metrics.retrieval as shipped
from clickwise.registry import retrieval_metrics

EVERY = pytest.mark.parametrize("name", list(retrieval_metrics))


@pytest.fixture(scope="module")
def lists():
    rng = np.random.default_rng(3)
    hits = rng.random((200, 12)) < 0.3
    hits[:9] = False
    return hits, hits.sum(1) + np.where(np.arange(200) < 5, 0, rng.integers(0, 20, 200))


def test_all_are_measured():
    assert sorted(shipped.MEASURED) == list(retrieval_metrics)


@EVERY
def test_is_a_share_for_each_query(name, lists):
    values = retrieval_metrics.get(name)(*lists)
    assert values.shape == (200,) and values.dtype == np.float64
    wanted = lists[1] > 0
    assert ((values[wanted] >= 0.0) & (values[wanted] <= 1.0)).all()
    assert np.isnan(values[~wanted]).all() and not wanted.all()


@EVERY
def test_a_query_is_measured_alone(name, lists):
    metric, (hits, relevant) = retrieval_metrics.get(name), lists
    alone = [metric(hits[i : i + 1], relevant[i : i + 1])[0] for i in range(200)]
    np.testing.assert_allclose(metric(hits, relevant), alone, rtol=1e-12)


@EVERY
def test_nothing_found_is_zero_and_the_best_list_is_one(name):
    metric, relevant = retrieval_metrics.get(name), np.array([1, 3, 5])
    assert metric(np.zeros((3, 5), bool), relevant).tolist() == [0.0, 0.0, 0.0]
    best = np.arange(5) < relevant[:, None]
    np.testing.assert_allclose(metric(best, relevant), 1.0)


@EVERY
def test_a_hit_further_up_is_never_worse(name):
    metric, relevant = retrieval_metrics.get(name), np.full(5, 2)
    values = metric(np.eye(6, dtype=bool)[:5], relevant)
    assert (np.diff(values) <= 0).all() and values[0] > 0


@EVERY
def test_places_without_an_item_change_nothing_but_k(name):
    """A corpus of fewer than k items: the ideal is still that of k places."""
    metric, relevant = retrieval_metrics.get(name), np.array([4])
    short = np.array([[True, False, True]])
    padded = np.pad(short, ((0, 0), (0, 7)))
    longer = np.pad(short, ((0, 0), (0, 17)))
    assert metric(padded, relevant) == metric(longer, relevant)


@EVERY
def test_no_queries_are_no_values(name):
    assert retrieval_metrics.get(name)(np.zeros((0, 5), bool), np.zeros(0, np.int64)).shape == (0,)


@EVERY
def test_inputs_stay_as_they_are(name, lists):
    before = [part.copy() for part in lists]
    retrieval_metrics.get(name)(*lists)
    for part, copy in zip(lists, before, strict=True):
        np.testing.assert_array_equal(part, copy)
