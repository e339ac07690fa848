"""Measuring any search: against plain loops over queries, and what the report says."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from clickwise.errors import ConfigError
from clickwise.evaluation.retrieval import Comparison, Figure, Measured, RetrievalReport, Slices, measure_search
from clickwise.retrieval import exact_search
from clickwise.retrieval.exact_search import best_items, most_popular
from clickwise.retrieval.found import Found
from clickwise.retrieval.held_out import HeldOut
from clickwise.retrieval.merging import padded

QUERIES, ITEMS, KS = 37, 30, (1, 5, 40)
RNG = np.random.default_rng(0)
POPULARITY = np.sort(np.minimum(RNG.zipf(1.4, ITEMS) - 1, 200))[::-1].copy()
VECTORS = [RNG.normal(size=(n, 5)).astype(np.float32) for n in (QUERIES, ITEMS)]
WANTED = [set(RNG.choice(ITEMS + 4, RNG.integers(1, 6), replace=False).tolist()) for _ in range(QUERIES)]  # 4 unknown
SEEN = [set(RNG.choice(ITEMS, RNG.integers(0, 9), replace=False).tolist()) - WANTED[q] for q in range(QUERIES)]
EDGES = (0, 2, 10)


def held_out() -> HeldOut:
    query, item = (
        np.array(column) for column in zip(*((q, i) for q in range(QUERIES) for i in WANTED[q]), strict=True)
    )
    known = [np.array(column) for column in zip(*((q, i) for q in range(QUERIES) for i in SEEN[q]), strict=True)]
    wanted = (query, item.astype(np.uint64), np.where(item < ITEMS, item, -1))
    return HeldOut.of(QUERIES, ITEMS, wanted, (known[0], known[1]))


HELD_OUT = held_out()
SLICES = Slices.of(HELD_OUT, POPULARITY, EDGES)


def exact(at: np.ndarray, k: int):
    return best_items(VECTORS[0][at], VECTORS[1], k, HELD_OUT.excluded.take(at))


popular = most_popular(POPULARITY, HELD_OUT.excluded)


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure_search(exact, HELD_OUT, ks=KS, popularity=POPULARITY, slices=SLICES)


def lists(k: int) -> list[list[int]]:
    score = VECTORS[0] @ VECTORS[1].T
    return [[i for i in np.argsort(-score[q]).tolist() if i not in SEEN[q]][:k] for q in range(QUERIES)]


def times(item: int) -> int:
    return int(POPULARITY[item]) if item < ITEMS else 0


def slice_of(item: int) -> int:
    return sum(times(item) > edge for edge in EDGES)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


@pytest.mark.parametrize("k", KS)
def test_every_figure_by_loops(k: int, measured: Measured) -> None:
    values: dict[str, list[float]] = {name: [] for name in measured.values}
    for q, found in enumerate(lists(k)):
        places = [place for place, item in enumerate(found, 1) if item in WANTED[q]]
        most = min(k, len(WANTED[q]))
        ideal = sum(1 / math.log2(1 + place) for place in range(1, most + 1))
        values["recall"].append(len(places) / len(WANTED[q]))
        values["ndcg"].append(sum(1 / math.log2(1 + place) for place in places) / ideal)
        values["hit_rate"].append(float(bool(places)))
        values["mrr"].append(1 / places[0] if places else 0.0)
        values["map"].append(sum((i + 1) / place for i, place in enumerate(places)) / most)
        known = [max(times(item), 1) for item in found]
        values["novelty"].append(sum(-math.log2(n / POPULARITY.sum()) for n in known) / len(known))
        chosen = [math.log(max(times(item), 1)) for item in WANTED[q]]
        values["popularity_bias"].append(sum(map(math.log, known)) / len(known) - sum(chosen) / len(chosen))
    figures = measured.figures()
    for name, each in values.items():
        assert figures[f"{name}_at_{k}"] == pytest.approx(mean_and_error(each), rel=1e-5, abs=1e-6), name
    assert figures[f"coverage_at_{k}"].value == pytest.approx(len({i for found in lists(k) for i in found}) / ITEMS)
    assert set(figures) == {f"{name}_at_{k}" for name in (*values, "coverage") for k in KS}


def test_slices_by_loops(measured: Measured) -> None:
    assert SLICES.labels == ["0", "1 to 2", "3 to 10", "over 10"]
    assert SLICES.query.tolist() == [sum(len(seen) > edge for edge in EDGES) for seen in SEEN]
    for at, k in enumerate(KS):
        found = lists(k)
        places = [slice_of(item) for one in found for item in one]
        for part in range(len(SLICES)):
            recall = []
            for q in range(QUERIES):
                wanted = {item for item in WANTED[q] if slice_of(item) == part}
                if wanted:
                    recall.append(len(wanted & set(found[q])) / len(wanted))
            assert int((SLICES.relevant[:, part] > 0).sum()) == len(recall) > 1
            assert Figure.mean(measured.slice_recall[:, part, at]) == pytest.approx(mean_and_error(recall), rel=1e-5)
            assert measured.slice_share[part, at] == pytest.approx(places.count(part) / len(places))


def test_blocks_change_nothing(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_search, "_MOST", 5)
    monkeypatch.setattr(exact_search, "_FEWEST", 5)
    asked = []

    def search(at: np.ndarray, k: int):
        asked.append(len(at))
        return exact(at, k)

    pieces = measure_search(search, HELD_OUT, ks=KS, popularity=POPULARITY, slices=SLICES)
    assert asked == [5, 5, 5, 5, 5, 5, 5, 2]
    assert pieces.figures() == measured.figures()
    np.testing.assert_array_equal(pieces.slice_recall, measured.slice_recall)


def test_only_what_is_asked_for_and_known() -> None:
    few = measure_search(exact, HELD_OUT, ks=(3,), metrics=("mrr",))
    assert set(few.figures()) == {"mrr_at_3", "coverage_at_3"}
    assert few.slice_recall is None and few.slice_share is None
    with pytest.raises(ConfigError, match=r"did you mean 'recall'"):
        measure_search(exact, HELD_OUT, metrics=("recal",))
    for ks in ((), (0, 5), (5, 5), (10, 5)):
        with pytest.raises(ConfigError, match=r"ks: .*whole numbers >= 1, rising"):
            measure_search(exact, HELD_OUT, ks=ks)


def test_a_difference_is_paired(measured: Measured) -> None:
    baseline = measure_search(popular, HELD_OUT, ks=KS, popularity=POPULARITY, slices=SLICES)
    compared = Comparison(("popularity", "exact"), baseline, measured, SLICES.labels)
    for at, k in enumerate(KS):
        each = (measured.values["recall"][:, at].astype(float) - baseline.values["recall"][:, at]).tolist()
        assert compared.differences()[f"recall_at_{k}"] == pytest.approx(mean_and_error(each), rel=1e-5)
    gain = compared.differences()["recall_at_5"]
    lines = str(compared).splitlines()
    assert lines[0].split() == ["metric", "popularity", "exact", "difference", "95", "%"]
    row = next(line for line in lines if line.startswith("recall_at_5 "))
    assert row.split()[3:] == [f"{gain.value:+.4f}", "±", f"{1.96 * gain.stderr:.4f}"]
    assert any(line.startswith("recall_at_5, items chosen 1 to 2 times") for line in lines)
    same = Comparison(("a", "b"), measured, measured)
    assert set(same.differences().values()) == {(0.0, 0.0)} and same.slice_differences() == {}
    data = json.loads(json.dumps(compared.to_data(), allow_nan=False))
    assert data["differences"]["recall_at_5"] == pytest.approx(gain.value)
    assert data["before"]["name"] == "popularity" and "recall_at_5" in data["after"]["metrics"]


def tiny() -> RetrievalReport:
    """Three queries; the second wants an item that is no item, the third one that it has."""
    query, item = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 9, 2, 3])
    found = (query, item.astype(np.uint64), np.where(item < 4, item, -1))
    small = HeldOut.of(3, 4, found, (np.array([2, 2]), np.array([3, 0])))
    popularity = np.array([0, 3, 3, 9])
    slices = Slices.of(small, popularity, (0, 5))
    rows = np.array([[0, 1], [2, 3], [2, 1]])

    def search(at: np.ndarray, k: int):
        return padded(Found(rows[at], np.ones((len(at), 2), np.float32)), k)

    systems = {
        "model": measure_search(search, small, ks=(2,), popularity=popularity, slices=slices),
        "popularity": measure_search(most_popular(popularity, small.excluded), small, ks=(2,), slices=slices),
    }
    return RetrievalReport(
        systems=systems, held_out=small, slices=slices, source="test.txt", quarantined=2, seconds=1.5
    )


def test_text_for_people() -> None:
    text = str(tiny())
    for part in (
        "test.txt: 3 queries, 5 relevant items, 4 items to find them among, 1.5 s\n"
        "relevant items that are not among those, and count as missed: 1\n"
        "relevant items that the query has in training, so left out and missed: 1\n"
        "2 rows could not be read and are not counted\n\n"
        "metric                ",
        "recall_at_2 of relevant items by how often they were chosen in training\n",
        "recall_at_2 of queries by how many items they have in training\n",
    ):
        assert part in text
    # recall of the queries: 1, 0, 1/2: mean 1/2, error .5 / sqrt(3)
    assert re.search(r"^recall_at_2 +0\.5000 +± 0\.5658 +0\.", text, re.M)
    # items chosen 0 times: item 0 and the unknown one; recall 1 of query 0, 0 of query 1; 1 place of 6
    assert re.search(r"^0 +1 +2 +0\.5000 +± 0\.9800 +16\.7%", text, re.M)
    # queries with 0 items in training: the first two
    assert re.search(r"^0 +2 +0\.5000 +± 0\.9800", text, re.M)
    assert "over 5" in text and "novelty_at_2" in text


def test_data_for_machines_is_strict_json() -> None:
    data = json.loads(json.dumps(tiny().to_data(), allow_nan=False))
    assert data["metrics"]["recall_at_2"] == pytest.approx(0.5)
    assert data["stderr"]["recall_at_2"] == pytest.approx(0.5 / math.sqrt(3))
    counts = ("queries", "relevant", "relevant_not_in_corpus", "relevant_left_out", "items", "quarantined")
    assert [data[key] for key in counts] == [3, 5, 1, 1, 4, 2]
    assert data["system"] == "model" and set(data["baselines"]) == {"popularity"}
    assert [s["items"] for s in data["item_slices"]] == [1, 2, 1]
    assert [s["queries"] for s in data["query_slices"]] == [2, 1, 0]
    assert data["item_slices"][0]["systems"]["model"]["recall_at_2"] == pytest.approx(0.5)
    assert data["query_slices"][2]["systems"]["model"]["metrics"]["recall_at_2"] is None


def test_without_a_training_log_there_are_no_slices() -> None:
    systems = {"exact": measure_search(exact, HELD_OUT, ks=KS)}
    report = RetrievalReport(systems=systems, held_out=HELD_OUT)
    assert "chosen in training" not in str(report) and report.to_data()["item_slices"] == []
    assert report.metrics["recall_at_5"] == report.to_data()["metrics"]["recall_at_5"]
