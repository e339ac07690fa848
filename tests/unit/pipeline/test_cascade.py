"""A recommender, stage by stage, against recall counted by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise import pipeline
from clickwise.cli import main
from clickwise.data.simulator import catalogue, catalogue_config, simulate
from clickwise.errors import DataError
from clickwise.pipeline import cascade
from clickwise.retrieval.stored import save_recommender

ITEM = ("ad_id", "ad_category", "advertiser_id")
USER = ("user_segment", "site_id")
FAST = ["training.epochs=1", "training.batch_size=256", "training.threads=1", "model.embedding_dim=8"]


@pytest.fixture(scope="module")
def logs() -> tuple[pa.Table, pa.Table]:
    """A day and the next, of few users, so that some are in both."""
    days = []
    for day in (0, 1):
        config = catalogue_config(150, rows=2_000, click_rate=0.3, seed=5, start_day=day, num_users=400)
        days.append(pa.Table.from_batches(list(simulate(config))))
    return days[0], days[1]


@pytest.fixture(scope="module")
def recommender(logs: tuple[pa.Table, pa.Table]):
    ids = {name: {"transform": "vocabulary"} for name in (*USER, *ITEM)}
    schema = {"item": "ad_id", "item_features": list(ITEM), "group": "user_id", "features": ids}
    towers = cw.train(logs[0], label="click", model="two_tower", schema=schema, settings=FAST)
    ranker = cw.train(logs[0], label="click", model="fm", schema={"features": ids}, settings=FAST)
    ads = pa.Table.from_batches(list(catalogue(catalogue_config(150, rows=1, click_rate=0.3, seed=5, start_day=1))))
    told = ["recommender.candidates=30", "index.kind=exact"]
    return pipeline.build_recommender(towers, ads, ranker=ranker, settings=told)


def clicks(log: pa.Table) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in log.select(["user_id", "ad_id", "click"]).to_pylist():
        if row["click"]:
            found.setdefault(row["user_id"], set()).add(row["ad_id"])
    return found


def test_recall_of_each_stage_is_that_counted_by_hand(recommender, logs) -> None:
    seen, wanted = (clicks(log) for log in logs)
    first = {}
    for row in logs[1].to_pylist():
        if row["click"]:
            first.setdefault(row["user_id"], row)
    exclude = [sorted(seen.get(user, ())) for user in first]
    everything = recommender.items.take(np.arange(len(recommender.items)))
    ids = np.array(everything.column("ad_id").to_pylist())
    requests = recommender.batch(list(first.values()))
    scores = recommender.towers.queries(requests) @ recommender.towers.items(everything).T
    by_cascade = recommender.recommend(list(first.values()), 5, exclude=exclude)
    recall = {"exact": [], "cascade": []}
    for q, user in enumerate(first):
        order = [item for item in ids[np.argsort(-scores[q], kind="stable")] if item not in exclude[q]]
        for name, found in (("exact", order[:5]), ("cascade", [one.item for one in by_cascade[q]])):
            recall[name].append(len(wanted[user] & set(found)) / len(wanted[user]))
    result = pipeline.evaluate_recommender(recommender, logs[1], seen=logs[0], ks=(5,))
    systems = result.report.systems
    assert [*systems] == ["cascade", "index", "exact", "popularity"]
    for name, values in recall.items():
        assert systems[name].figures()["recall_at_5"].value == pytest.approx(np.mean(values), abs=1e-6)
    lost = result.comparisons[0].differences()
    assert lost["recall_at_5"].value == lost["ndcg_at_5"].value == 0.0  # this index is exact
    added = result.comparisons[1].differences()["recall_at_5"].value
    assert added == pytest.approx(np.mean(recall["cascade"]) - np.mean(recall["exact"]), abs=1e-6)
    assert any(exclude) and 0.0 < np.mean(recall["exact"]) < 1.0


def test_items_that_went_are_found_by_no_stage(recommender, logs) -> None:
    """And what came again under the same id is one item."""
    kept = recommender.items.take(np.arange(20)).to_pylist()
    gone = recommender.items.ids_of(np.arange(20, len(recommender.items)))
    few = recommender.without_items(gone).with_items(pa.Table.from_pylist(kept[:5]))
    report = pipeline.evaluate_recommender(few, logs[1], seen=logs[0], ks=(20,)).report
    assert report.held_out.num_items == 20
    assert {system.coverage[0].value for name, system in report.systems.items() if name != "cascade"} == {1.0}


def test_of_many_queries_some_are_measured(recommender, logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "_MOST_SCORES", 40 * len(recommender.items))
    monkeypatch.setattr(cascade, "_FEWEST_QUERIES", 10)
    result = pipeline.evaluate_recommender(recommender, logs[1], seen=logs[0], ks=(5,))
    assert len(result.report.held_out) == 40


def test_the_command_line_tells_a_recommender_from_a_bundle(
    recommender, logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_recommender(recommender, tmp_path / "r")
    for name, log in zip(("seen", "next"), logs, strict=True):
        pq.write_table(log, tmp_path / f"{name}.parquet")
    words = ["evaluate", tmp_path / "r", tmp_path / "next.parquet", "--seen", tmp_path / "seen.parquet"]
    monkeypatch.setattr(sys, "argv", ["clickwise", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    said = capsys.readouterr().out
    assert "what the index loses, query by query" in said and "what ranking adds, query by query" in said


def test_nothing_to_find_is_said(recommender, logs) -> None:
    with pytest.raises(DataError, match="no row names an item to find"):
        pipeline.evaluate_recommender(recommender, logs[1].filter(pc.field("click") == 0))
