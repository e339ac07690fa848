from __future__ import annotations

import numpy as np
import pytest

from clickwise.errors import DataError
from clickwise.retrieval.exact import ExactIndex
from clickwise.retrieval.faiss_index import FaissIndex
from clickwise.retrieval.found import Found
from clickwise.retrieval.index_config import IndexConfig
from clickwise.retrieval.tuning import Truth, built, latencies_ms, tuned
from clickwise.retrieval.vector_index import VectorIndex, effort_for

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(3000, 8)).astype(np.float32)
QUERIES = RNG.normal(size=(80, 8)).astype(np.float32)


def lists(vectors: np.ndarray = VECTORS) -> VectorIndex:
    return FaissIndex.build(FaissIndex.Config(exact_up_to=0, lists=40), vectors, threads=1)


def naive_recall(index: VectorIndex, queries: np.ndarray, k: int) -> float:
    shares = []
    for query, rows in zip(queries, index.search(queries, k).rows, strict=True):
        best = np.argsort(-(VECTORS.astype(np.float64) @ query.astype(np.float64)))[:k]
        shares.append(len(set(best.tolist()) & set(rows.tolist())) / k)
    return float(np.mean(shares))


def test_recall_is_the_share_of_the_best_that_is_found() -> None:
    truth = Truth.of(VECTORS, QUERIES, 10)
    for effort in (1, 4, 40):
        index = lists().with_effort(effort, 10)
        assert truth.recall(index) == pytest.approx(naive_recall(index, QUERIES, 10), abs=1e-9)


def test_an_item_as_good_as_the_last_counts_and_one_that_is_missing_does_not() -> None:
    vectors = np.array([[1.0], [1.0], [1.0], [0.5]], np.float32)
    truth = Truth.of(vectors, np.ones((1, 1), np.float32), 2)

    class Fixed(ExactIndex):
        rows = np.array([[0, 1]])

        def _search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, threads: int) -> Found:
            return Found(self.rows, np.zeros(self.rows.shape, np.float32))

    index = Fixed.of(vectors)
    for rows, expected in (([0, 1], 1.0), ([2, 1], 1.0), ([2, 3], 0.5), ([2, -1], 0.5), ([-1, -1], 0.0)):
        Fixed.rows = np.array([rows])
        assert truth.recall(index) == expected


@pytest.mark.parametrize("recall", [0.5, 0.8, 0.95, 1.0])
def test_the_smallest_effort_that_reaches_the_recall(recall: float) -> None:
    truth = Truth.of(VECTORS, QUERIES, 10)
    index = tuned(lists(), truth, recall, 1)
    assert truth.recall(index) >= recall
    assert index.effort == 1 or truth.recall(index.with_effort(index.effort - 1, 10)) < recall


def test_a_recall_out_of_reach_takes_what_finds_nearly_as_much_as_everything() -> None:
    truth = Truth.of(VECTORS, QUERIES, 10)
    unreachable = Truth(VECTORS, QUERIES, np.where(np.arange(80) < 40, truth.last, np.float32(1e30)), 10)
    index = tuned(lists(), unreachable, 0.9, 1)
    most = unreachable.recall(index.with_effort(40, 10))
    assert most == pytest.approx(0.5, abs=0.01)
    assert unreachable.recall(index) >= 0.995 * most and 1 < index.effort < 40
    assert unreachable.recall(index.with_effort(index.effort - 1, 10)) < 0.995 * most


def test_more_is_looked_at_for_more_items_and_for_a_share_of_them() -> None:
    assert effort_for(8, 100, 100, 1.0, 1000) == 8
    assert effort_for(8, 100, 20, 1.0, 1000) == 8
    assert effort_for(8, 100, 400, 1.0, 1000) == 16
    assert effort_for(8, 100, 100, 0.1, 1000) == 80
    assert effort_for(8, 100, 400, 0.01, 1000) == 1000


def test_what_is_measured_is_measured_on_other_queries() -> None:
    index, measured = built(lists, VECTORS, QUERIES, IndexConfig(recall=0.9, k=10), 1)
    assert measured.queries == "held out" and measured.num_queries == 40
    assert measured.recall == pytest.approx(naive_recall(index, QUERIES[1::2], 10), abs=1e-9)
    assert naive_recall(index, QUERIES[::2], 10) >= 0.9
    assert measured.effort == index.effort and 1 < index.effort < 40
    assert 0.0 < measured.median_ms <= measured.p99_ms
    assert measured.size_bytes == index.size_bytes and measured.build_s > 0.0


def test_what_queries_there_are_is_said() -> None:
    config = IndexConfig(recall=0.9, k=10)
    few = built(lists, VECTORS, QUERIES[:19], config, 1)[1]
    assert (few.queries, few.num_queries) == ("given", 19)
    none = built(lists, VECTORS, None, config, 1)[1]
    assert (none.queries, none.num_queries) == ("items", 250)
    assert built(lists, VECTORS, QUERIES[:0], config, 1)[1].queries == "items"
    many = built(lists, VECTORS, np.tile(QUERIES, (20, 1)), config, 1)[1]
    assert (many.queries, many.num_queries) == ("held out", 250)


def test_an_effort_that_is_given_is_kept() -> None:
    index, measured = built(lists, VECTORS, QUERIES, IndexConfig(effort=7, recall=0.99), 1)
    assert index.effort == measured.effort == 7 and measured.recall < 0.99
    assert built(lists, VECTORS, QUERIES, IndexConfig(effort=700), 1)[0].effort == 40
    exact, measured = built(lambda: ExactIndex.of(VECTORS), VECTORS, QUERIES, IndexConfig(effort=7), 1)
    assert exact.effort == measured.effort == 0 and measured.recall == 1.0


def test_fewer_vectors_than_k_and_none() -> None:
    few, measured = built(lambda: lists(VECTORS[:50]), VECTORS[:50], QUERIES, IndexConfig(k=100), 1)
    assert measured.recall >= 0.95 and len(few) == 50
    none, measured = built(lambda: lists(VECTORS[:0]), VECTORS[:0], QUERIES, IndexConfig(), 1)
    assert len(none) == 0 and measured.recall == 1.0 and measured.num_queries == 0


def test_queries_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="queries"):
        built(lists, VECTORS, QUERIES[:, :3], IndexConfig(), 1)


def test_latencies_are_of_single_queries() -> None:
    asked: list[int] = []

    class Counted(ExactIndex):
        def _search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, threads: int) -> Found:
            asked.append(len(queries))
            assert threads == 1
            return super()._search(queries, k, allowed, threads)

    times = latencies_ms(Counted.of(VECTORS), QUERIES, 5)
    assert len(times) == 200 and (times > 0.0).all() and set(asked) == {1} and len(asked) == 201
