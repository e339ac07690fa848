"""The real thing: features loaded by the command line, a server that looks them up and keeps what it served, skew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise import pipeline
from clickwise.serving.store import Store
from serving_process import Server

pytestmark = pytest.mark.slow

ENTITIES = """
[[entities]]
name = "user"
key = "user_id"
columns = ["user_age", "user_segment", "interests"]
store = "lmdb:users"
"""


@pytest.fixture(scope="module")
def store(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    cw.train(small_log, label="click", model="lr", out=folder / "bundle", settings=["training.epochs=1"])
    pipeline.export(folder / "bundle", folder / "version")
    made = Store(folder / "store")
    made.lead(made.add(folder / "version"))
    return made


def clickwise(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "clickwise", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_users_are_named_and_requests_are_kept(store: Store, small_log: Path, tmp_path: Path) -> None:
    (tmp_path / "entities.toml").write_text(ENTITIES)
    rows = pq.read_table(small_log, columns=["user_id", "user_age", "user_segment", "interests"])
    one, other = rows.slice(0, 1), rows.filter(pc.not_equal(rows["user_segment"], rows["user_segment"][0]))
    users, later = tmp_path / "users.parquet", tmp_path / "later.parquet"
    pq.write_table(one, users)
    new = other.slice(0, 1).set_column(0, "user_id", one["user_id"])
    pq.write_table(new, later)
    load: tuple[Any, ...] = ("--entity", "user", "--version", store.folder, "--entities", tmp_path / "entities.toml")
    told = clickwise("features", "load", users, *load)
    assert told.startswith(f"lmdb:{tmp_path / 'users'}: 1 rows of the entity 'user'")

    keeping = ("--set", f"served_folder={tmp_path / 'served'}", "--set", "served_share=1.0", "--set", "drain_s=0.0")
    server = Server(store.folder, "--workers", "1", "--entities", str(tmp_path / "entities.toml"), *keeping)
    server.wait_ready()

    def scored(user: dict[str, Any]) -> Any:
        status, body = server.get("/v1/score", {"user": user, "candidates": [{"ad_id": "a"}, {}]})
        assert status == 200
        return body

    try:
        name = one["user_id"][0].as_py()
        assert scored({"user_id": name}) == scored(one.to_pylist()[0])
        clickwise("features", "load", later, *load)
        assert scored({"user_id": name}) == scored(new.to_pylist()[0]) != scored(one.to_pylist()[0])
        metrics = server.get("/metrics")[1].decode()
        assert 'clickwise_store_keys_total{entity="user",outcome="known"} 2.0' in metrics
    finally:
        server.stop()
    assert server.process.returncode == 0
    (file,) = (tmp_path / "served").iterdir()
    assert pq.read_metadata(file).num_rows == 10
    told = clickwise("skew", tmp_path / "served", store.folder, small_log)
    assert "10 candidates of 5 requests" in told and "fewer than 200 requests" in told
