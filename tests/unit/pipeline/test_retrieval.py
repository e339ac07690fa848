"""`evaluate_retrieval` from raw rows, against loops over the same rows and the bundle's own scores."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import clickwise as cw
from clickwise.bundle import Bundle
from clickwise.errors import BundleError, ClickwiseWarning, ConfigError, DataError
from clickwise.pipeline import evaluate_retrieval
from clickwise.pipeline.held_out_rows import Numbering

KINDS = 4
SETTINGS = ["training.epochs=2", "training.batch_size=128", "model.embedding_dim=8", "data.valid_fraction=0.1"]
SCHEMA = {
    "label": "liked",
    "item": "film",
    "item_features": ["film", "kind", "minutes"],
    "features": {
        "user": {"transform": "vocabulary", "min_count": 1},
        "film": {"transform": "vocabulary", "min_count": 2},
        "kind": {"transform": "vocabulary", "min_count": 1},
        "minutes": {"transform": "standard"},
    },
}
Row = dict[str, Any]


def film(number: int) -> Row:
    return {"film": f"f{number}", "kind": f"k{number % KINDS}", "minutes": 80.0 + 1.37 * number}


def log(count: int, seed: int, users: range, films: range) -> list[Row]:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        user = int(rng.integers(users.start, users.stop))
        number = int(rng.integers(films.start, films.stop))
        rows.append({"user": user, **film(number), "liked": int(number % KINDS == user % KINDS or rng.random() < 0.2)})
    return rows


TRAIN = log(1500, 0, range(40), range(50))
TEST = log(300, 1, range(45), range(53))  # five users and three films that training does not know


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return cw.train(TRAIN, model="two_tower", schema=SCHEMA, settings=SETTINGS)


def measured_by_loops(
    bundle: Bundle, test: list[Row], train: list[Row], films: list[Row], query: str = "user", k: int = 10
) -> dict[str, float]:
    """Mean recall and NDCG over the queries."""
    recall, ndcg = [], []
    wanted = [row for row in test if row["liked"]]
    for user in {row[query] for row in wanted}:
        first = next(row for row in wanted if row[query] == user)
        seen = {row["film"] for row in train if row["liked"] and row[query] == user}
        relevant = {row["film"] for row in wanted if row[query] == user}
        left = [item for item in films if item["film"] not in seen]
        score = bundle.logits([{**first, **item} for item in left])
        found = [left[i]["film"] for i in np.argsort(-score, kind="stable")[:k]]
        places = [place for place, name in enumerate(found, 1) if name in relevant]
        recall.append(len(places) / len(relevant))
        ideal = sum(1 / math.log2(1 + place) for place in range(1, min(k, len(relevant)) + 1))
        ndcg.append(sum(1 / math.log2(1 + place) for place in places) / ideal)
    return {f"recall_at_{k}": float(np.mean(recall)), f"ndcg_at_{k}": float(np.mean(ndcg))}


def known_films(*logs: list[Row]) -> list[Row]:
    """As they came first in a row with label 1."""
    found: dict[str, Row] = {}
    for row in (row for rows in logs for row in rows if row.get("liked", 1)):
        found.setdefault(row["film"], {key: row[key] for key in ("film", "kind", "minutes")})
    return list(found.values())


def test_is_what_loops_over_the_raw_rows_give(bundle: Bundle) -> None:
    report = evaluate_retrieval(bundle, TEST, seen=TRAIN)
    expected = measured_by_loops(bundle, TEST, TRAIN, known_films(TRAIN))
    assert {name: report.metrics[name] for name in expected} == pytest.approx(expected)
    likes = [row for row in TEST if row["liked"]]
    assert len(report.held_out) == len({row["user"] for row in likes})  # unknown users are not one
    assert report.held_out.num_relevant.sum() == len({(row["user"], row["film"]) for row in likes})
    assert list(report.systems) == ["two_tower", "popularity"]


def test_popularity_shows_what_was_liked_most(bundle: Bundle) -> None:
    report = evaluate_retrieval(bundle, TEST, seen=TRAIN, ks=(3,))
    times: dict[str, int] = {item["film"]: 0 for item in known_films(TRAIN)}
    for row in TRAIN:
        times[row["film"]] = times.get(row["film"], 0) + row["liked"]
    order = sorted(known_films(TRAIN), key=lambda item: -times[item["film"]])
    recall = []
    for user in {row["user"] for row in TEST if row["liked"]}:
        seen = {row["film"] for row in TRAIN if row["liked"] and row["user"] == user}
        found = {item["film"] for item in [item for item in order if item["film"] not in seen][:3]}
        relevant = {row["film"] for row in TEST if row["liked"] and row["user"] == user}
        recall.append(len(found & relevant) / len(relevant))
    assert report.systems["popularity"].figures()["recall_at_3"].value == pytest.approx(np.mean(recall))


def test_a_catalogue_adds_items_that_nobody_chose(bundle: Bundle) -> None:
    nameless = {**film(1), "film": None}
    catalogue = pa.Table.from_pylist([*(film(number) for number in (*range(20, 53), 20)), nameless])
    report = evaluate_retrieval(bundle, TEST, seen=TRAIN, items=catalogue)
    expected = measured_by_loops(bundle, TEST, TRAIN, known_films([film(n) for n in range(20, 53)], TRAIN))
    assert {name: report.metrics[name] for name in expected} == pytest.approx(expected)
    assert report.held_out.num_items == 53
    assert report.slices is not None and int((report.slices.item == 0).sum()) == 3
    alone = evaluate_retrieval(bundle, TEST, items=catalogue)
    expected = measured_by_loops(bundle, TEST, [], [film(n) for n in range(20, 53)])
    assert {name: alone.metrics[name] for name in expected} == pytest.approx(expected)
    assert list(alone.systems) == ["two_tower"] and alone.slices is None
    assert "novelty_at_10" not in alone.metrics


def test_a_group_says_what_a_query_is() -> None:
    """The same user in several contexts is one query, as it was in its first row, and has no item twice."""

    def with_hours(rows: list[Row]) -> list[Row]:
        return [{**row, "hour": (7 * i) % 5} for i, row in enumerate(rows)]

    features = {**SCHEMA["features"], "hour": {"transform": "vocabulary", "min_count": 1}}  # type: ignore[dict-item]
    train, test = with_hours(TRAIN), with_hours(TEST)
    schema = {**SCHEMA, "features": features}
    grouped = cw.train(train, model="two_tower", schema={**schema, "group": "user"}, settings=SETTINGS)
    report = evaluate_retrieval(grouped, test, seen=train)
    expected = measured_by_loops(grouped, test, train, known_films(train))
    assert {name: report.metrics[name] for name in expected} == pytest.approx(expected)
    contexts = evaluate_retrieval(
        cw.train(train, model="two_tower", schema=schema, settings=SETTINGS), test, seen=train
    )
    likes = {(row["user"], row["hour"]) for row in test if row["liked"]}
    assert len(contexts.held_out) == len(likes) > len(report.held_out)


def test_small_blocks_and_files_give_the_same(bundle: Bundle, tmp_path: Path) -> None:
    whole = evaluate_retrieval(bundle, TEST, seen=TRAIN)
    for name, rows in (("test", TEST), ("train", TRAIN)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(TEST[0]))
            writer.writeheader()
            writer.writerows(rows)
    pieces = evaluate_retrieval(
        bundle, tmp_path / "test.csv", seen=tmp_path / "train.csv", settings=["data.batch_rows=64"]
    )
    assert pieces.metrics == whole.metrics
    assert pieces.source.endswith("test.csv")


def test_rows_that_cannot_be_read_or_name_nothing_are_left_out(bundle: Bundle) -> None:
    text = [{**row, "minutes": str(row["minutes"])} for row in TEST]
    bad = [
        {**text[0], "user": 3, "liked": "perhaps"},
        {**text[0], "film": None, "liked": 1},
    ]
    columns = [{**row, "liked": str(row["liked"])} for row in (*bad, *text)]
    with pytest.warns(ClickwiseWarning, match="1 rows name no item, or no query"):
        report = evaluate_retrieval(bundle, columns, seen=TRAIN)
    assert report.quarantined == 1
    assert report.metrics == evaluate_retrieval(bundle, TEST, seen=TRAIN).metrics
    with pytest.raises(DataError, match=r"row 1, column 'liked'.*data\.max_bad_fraction"):
        evaluate_retrieval(bundle, [columns[0], *columns[2:20]], seen=TRAIN)


def test_what_cannot_be_measured_is_said(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="--seen: is missing: give the training log"):
        evaluate_retrieval(bundle, TEST)
    with pytest.raises(DataError, match="no row has label 1 and names an item to find"):
        evaluate_retrieval(bundle, [{**row, "liked": 0} for row in TEST], seen=TRAIN)
    without = [{key: value for key, value in row.items() if key != "film"} for row in TEST]
    with pytest.raises(DataError, match="column 'film': has no such column"):
        evaluate_retrieval(bundle, without, seen=TRAIN)
    with pytest.raises(DataError, match="column 'kind': has no such column"):
        evaluate_retrieval(bundle, TEST, seen=TRAIN, items=[{"film": "f1", "minutes": 3.0}])
    clicks = cw.train(TRAIN, model="fm", schema=SCHEMA, settings=SETTINGS)
    with pytest.raises(BundleError, match=r"the model is fm.*without --seen and --items"):
        evaluate_retrieval(clicks, TEST, seen=TRAIN)


def test_numbers_are_given_in_order_of_coming() -> None:
    numbering, names = Numbering(), np.array([9, 2, 9, 40, 2, 7], np.uint64)
    assert numbering.new(names).tolist() == [0, 1, 3, 5]
    numbering.add(names[[0, 1, 3]])
    assert numbering.new(names).tolist() == [5]
    numbering.add(names[[5]])
    numbering.add(np.array([50, 1], np.uint64))
    assert numbering.find(np.array([9, 2, 40, 7, 50, 1, 3], np.uint64)).tolist() == [0, 1, 2, 3, 4, 5, -1]
    assert len(numbering) == 6 and Numbering().find(names).tolist() == [-1] * 6
