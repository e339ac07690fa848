"""From files to a saved recommender and its lists, as the command line does it."""

from __future__ import annotations

import json
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
from clickwise.data.simulator import catalogue, catalogue_config, requests, simulate
from clickwise.errors import BundleError, ConfigError, DataError

ITEM = ("ad_id", "ad_category", "advertiser_id")
USER = ("user_segment", "site_id")
FAST = ["training.epochs=1", "training.batch_size=256", "training.threads=1", "model.embedding_dim=8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Log, catalogue and requests as files; a bundle of towers, and one of a ranking model."""
    folder = tmp_path_factory.mktemp("recommending")
    config = catalogue_config(200, rows=3_000, click_rate=0.2, seed=5)
    log = pa.Table.from_batches(list(simulate(config)))
    pq.write_table(log, folder / "log.parquet")
    pq.write_table(pa.Table.from_batches(list(catalogue(config))), folder / "items.parquet")
    some = pa.Table.from_batches(list(requests(catalogue_config(200, rows=30, click_rate=0.2, seed=5))))
    some = some.set_column(1, "user_id", log.column("user_id").slice(0, 30))
    pq.write_table(some, folder / "requests.parquet")
    ids = {name: {"transform": "vocabulary"} for name in (*USER, *ITEM)}
    schema = {"item": "ad_id", "item_features": list(ITEM), "group": "user_id", "features": ids}
    log = folder / "log.parquet"
    cw.train(log, label="click", model="two_tower", schema=schema, settings=FAST, out=folder / "towers")
    cw.train(log, label="click", model="fm", schema={"features": ids}, settings=FAST, out=folder / "ranker")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> None:
    monkeypatch.setattr(sys, "argv", ["clickwise", *map(str, args)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code


def test_the_whole_way_on_the_command_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    run(
        monkeypatch, "index", folder / "towers", folder / "items.parquet", "--ranker", folder / "ranker", "--out", out,
        "--queries", folder / "log.parquet", "--set", "recommender.candidates=50", "--set", "index.kind=exact",
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "exact" in said and "ranker" in said and "100.0% of the best 100 items" in said
    lists = tmp_path / "lists.csv"
    run(monkeypatch, "recommend", out, folder / "requests.parquet", "--out", lists, "--top", 4, "--json")
    assert json.loads(capsys.readouterr().out)["rows"] == 120
    header = "request,user_id,place,ad_id,probability,score,retrieved"
    assert lists.read_text().replace('"', "").splitlines()[0] == header
    run(monkeypatch, "recommend", out, folder / "requests.parquet", "--top", 3, "--where", "ad_category!=banking")
    first = capsys.readouterr().out.splitlines()
    assert len(first) == 4 and "probability" in first[0]
    item = first[1].split()[4]
    run(monkeypatch, "recommend", out, folder / "requests.parquet", "--top", 3, "--explain", item)
    assert f"{item} is number" in capsys.readouterr().out
    pq.write_table(pa.table({"ad_id": [item]}), tmp_path / "gone.parquet")
    run(monkeypatch, "update-items", out, tmp_path / "gone.parquet", "--remove", "--json")
    count = pq.read_table(folder / "items.parquet").num_rows
    assert json.loads(capsys.readouterr().out)["items"] == count - 1
    run(monkeypatch, "recommend", out, folder / "requests.parquet", "--top", 3, "--json")
    assert item not in {one["item"] for one in json.loads(capsys.readouterr().out)["items"]}


def test_lists_in_a_file_are_those_of_the_recommender_and_seen_items_are_left_out(folder: Path, tmp_path: Path) -> None:
    made = pipeline.build_recommender(folder / "towers", folder / "items.parquet", ranker=folder / "ranker")
    asked = pq.read_table(folder / "requests.parquet")
    pipeline.recommend(made, folder / "requests.parquet", tmp_path / "a.parquet", k=5)
    found = pq.read_table(tmp_path / "a.parquet").to_pylist()
    expected = [(q + 1, one.place, one.item) for q, of in enumerate(made.recommend(asked, 5)) for one in of]
    assert [(row["request"], row["place"], row["ad_id"]) for row in found] == expected
    assert [row["user_id"] for row in found[::5]] == asked.column("user_id").to_pylist()
    assert all(0.0 < row["probability"] < 1.0 for row in found)
    pipeline.recommend(made, folder / "requests.parquet", tmp_path / "b.parquet", k=200, seen=folder / "log.parquet")
    log = pq.read_table(folder / "log.parquet").filter(pc.field("click") == 1)
    clicked = set(zip(log.column("user_id").to_pylist(), log.column("ad_id").to_pylist(), strict=True))
    late = {(row["user_id"], row["ad_id"]) for row in pq.read_table(tmp_path / "b.parquet").to_pylist()}
    assert clicked & {(user, item) for user in asked.column("user_id").to_pylist() for item in item_ids(folder)}
    assert not clicked & late


def item_ids(folder: Path) -> list[str]:
    return pq.read_table(folder / "items.parquet").column("ad_id").to_pylist()


def test_of_a_log_the_last_row_of_each_item_counts(folder: Path) -> None:
    made = pipeline.build_recommender(folder / "towers", folder / "log.parquet")
    log = pq.read_table(folder / "log.parquet").to_pylist()
    last = {row["ad_id"]: row["advertiser_id"] for row in log}
    assert len(made.items) == len(last)
    assert made.items.catalogue.columns == ITEM
    rows = made.items.take(np.arange(len(last))).to_pylist()
    assert {row["ad_id"]: row["advertiser_id"] for row in rows} == last


def test_rules_can_be_changed_when_asking(folder: Path, tmp_path: Path) -> None:
    pipeline.build_recommender(folder / "towers", folder / "items.parquet", tmp_path / "r")
    told = ["recommender.caps.advertiser_id=1"]
    pipeline.recommend(tmp_path / "r", folder / "requests.parquet", tmp_path / "a.parquet", k=5, settings=told)
    of = {row["ad_id"]: row["advertiser_id"] for row in pq.read_table(folder / "items.parquet").to_pylist()}
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    pairs = [(row["request"], of[row["ad_id"]]) for row in rows]
    assert len(pairs) == len(set(pairs))


def test_unreadable_requests_go_to_the_quarantine(folder: Path, tmp_path: Path) -> None:
    made = pipeline.build_recommender(folder / "towers", folder / "items.parquet")
    rows = pq.read_table(folder / "requests.parquet").to_pylist()
    rows[7]["site_id"] = "x" * 5000
    told = ["data.max_bad_fraction=0.2"]
    summary = pipeline.recommend(made, rows, tmp_path / "a.parquet", k=2, settings=told)
    assert (summary.requests, summary.rows, summary.quarantined) == (29, 58, 1)
    found = pq.read_table(tmp_path / "a.parquet").column("request").to_pylist()
    assert sorted(set(found)) == [n for n in range(1, 31) if n != 8]
    with pytest.raises(DataError, match="site_id"):
        pipeline.recommend(made, rows, tmp_path / "b.parquet", k=2)
    assert not (tmp_path / "b.parquet").exists()


def test_mistakes_are_one_line(folder: Path, tmp_path: Path) -> None:
    items = folder / "items.parquet"
    with pytest.raises(BundleError, match="its model is fm, and retrieval needs two_tower"):
        pipeline.build_recommender(folder / "ranker", items)
    with pytest.raises(BundleError, match="trained for retrieval"):
        pipeline.build_recommender(folder / "towers", items, ranker=folder / "towers")
    with pytest.raises(ConfigError, match=r"indx: unknown section \(did you mean 'index'\?\)"):
        pipeline.build_recommender(folder / "towers", items, settings=["indx.recall=1"])
    with pytest.raises(ConfigError, match=r"recommender\.candidate: unknown key"):
        pipeline.build_recommender(folder / "towers", items, settings=["recommender.candidate=1"])
    with pytest.raises(DataError, match="ad_category"):
        pipeline.build_recommender(folder / "towers", pq.read_table(items).drop_columns("ad_category"))
    made = pipeline.build_recommender(folder / "towers", items)
    asked = pq.read_table(folder / "requests.parquet")
    with pytest.raises(DataError, match="user_segment"):
        pipeline.recommend(made, asked.drop_columns("user_segment"), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match="seen: needs to know whose items were seen"):
        pipeline.recommend(made, asked.drop_columns("user_id"), tmp_path / "x.parquet", seen=folder / "log.parquet")
    with pytest.raises(ConfigError, match=r"--set: .*keys of"):
        pipeline.recommend(made, asked, tmp_path / "x.parquet", settings=["index.recall=1"])
    assert not list(tmp_path.iterdir())
