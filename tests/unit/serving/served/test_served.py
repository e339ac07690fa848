"""Requests are kept as they were served, by id or in full; and skew says how they differ from training."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asgi_client import call
from clickwise.config import build
from clickwise.data.config import DataConfig
from clickwise.errors import DataError
from clickwise.progress import Progress
from clickwise.serving.app.app import App
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.app.log import Log
from clickwise.serving.engine import Engine
from clickwise.serving.features.entity import Entity
from clickwise.serving.features.load import load_features
from clickwise.serving.features.opening import open_stores
from clickwise.serving.live import Live
from clickwise.serving.one_version import OneVersion
from clickwise.serving.served.report import SkewReport
from clickwise.serving.served.skew import measure_skew

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("served", ["wide_deep"], indirect=True)]

USER = Entity(name="user", key="user_id", columns=("user_age", "user_segment", "interests", "history"))
EACH = 10


def serve(served: Any, folder: Path, bodies: list[dict[str, Any]], **told: Any) -> tuple[list[Any], str, str]:
    """Serve requests from the start of an app to its end: the answers, the metrics and the log."""
    config = build(ServerConfig, {"served_folder": str(folder), "served_share": 1.0, "deadline_s": 60.0, **told})
    log = io.StringIO()

    async def running(app: App) -> tuple[list[Any], str]:
        to_app, from_app = asyncio.Queue[Any](), asyncio.Queue[Any]()
        life = asyncio.create_task(app({"type": "lifespan"}, to_app.get, from_app.put))
        await to_app.put({"type": "lifespan.startup"})
        await from_app.get()
        sent = [json.dumps(body, default=datetime.isoformat).encode() for body in bodies]
        answers = [await call(app, "POST", "/v1/score", body, {"x-request-id": f"r{n}"}) for n, body in enumerate(sent)]
        assert [answer.status for answer in answers] == [200] * len(bodies)
        metrics = (await call(app, "GET", "/metrics")).body.decode()
        await to_app.put({"type": "lifespan.shutdown"})
        await life
        return [answer.json for answer in answers], metrics

    with open_stores(config.entities) as stores:
        live = Live(OneVersion(served.version), partial(Engine.open, stores=stores))
        answers, metrics = asyncio.run(running(App(live, config, log=Log(0.0, log), stores=stores)))
    return answers, metrics, log.getvalue()


def requests(served: Any, count: int, change: Callable[[dict[str, Any]], None] = lambda row: None) -> list[Any]:
    """Requests of every other row of training, each with all of its columns with the candidates."""
    rows = served.rows.drop_columns(["click", "true_probability"]).to_pylist()[::2]
    for row in rows:
        change(row)
    return [{"candidates": rows[n * EACH : (n + 1) * EACH]} for n in range(count)]


def compare(served: Any, folder: Path) -> SkewReport:
    return measure_skew(folder, served.version, served.rows, DataConfig(), Progress())


def test_requests_are_kept_as_they_were_served(served: Any, tmp_path: Path) -> None:
    rows = served.rows.to_pylist()
    place = f"snapshot:{tmp_path / 'users'}"
    last = {row["user_id"]: row for row in rows}
    load_features(
        pa.Table.from_pylist(list(last.values()), served.rows.schema),
        USER,
        served.version,
        place,
        DataConfig(),
        Progress(),
    )
    body = {
        "user": {"user_id": rows[0]["user_id"], "interests": ["a", "b"], "timestamp": "2026-01-02T03:00:00"},
        "candidates": [{"ad_id": "a1", "bid_floor": 1.5}, {"ad_id": 7, "ad_category": "new"}],
    }
    unknown = {"user": {"user_id": "nobody"}, "candidates": [{"ad_id": "a1"}]}
    kept = tmp_path / "kept"
    entities = (replace(USER, store=place),)
    answers, metrics, _ = serve(served, kept, [body, unknown], entities=entities)
    (file,) = kept.glob("*.parquet")
    found = pq.read_table(file)
    engine = Engine.open(served.version)
    assert json.loads(found.schema.metadata[b"clickwise"]) == {"version": engine.version, "features": engine.features}
    assert found["user_id"].to_pylist() == [rows[0]["user_id"]] * 2 + ["nobody"]
    assert found["ad_id"].to_pylist() == ["a1", "7", "a1"]
    assert found["bid_floor"].to_pylist() == ["1.5", None, None]
    assert found["interests"].to_pylist() == [["a", "b"], ["a", "b"], None]
    assert found["history"].to_pylist() == [None] * 3
    assert found["served.request"].to_pylist() == ["r0", "r0", "r1"]
    assert found["served.version"].to_pylist() == [1] * 3
    assert abs(found["served.time"][0].as_py() - datetime.now(UTC)) < timedelta(minutes=5)
    probabilities = [p for answer in answers for p in answer["probabilities"]]
    assert found["served.probability"].to_pylist() == probabilities
    whole = {**{name: last[rows[0]["user_id"]][name] for name in USER.columns}, **body["user"]}
    sent = json.dumps({"user": whole, "candidates": body["candidates"]}, default=datetime.isoformat).encode()
    scores = engine.score_json(sent, max_candidates=10)
    assert scores.served is not None
    np.testing.assert_array_equal(np.array(found["served.ids"].to_pylist())[:2], scores.served.encoded.sparse)
    np.testing.assert_array_equal(np.float32(found["served.numbers"].to_pylist())[:2], scores.served.encoded.dense)
    np.testing.assert_array_equal(np.float32(found["served.logit"].to_pylist())[:2], scores.logits)
    for line in (
        'clickwise_store_keys_total{entity="user",outcome="known"} 1.0',
        'clickwise_store_keys_total{entity="user",outcome="unknown"} 1.0',
        'clickwise_store_seconds_count{entity="user"} 2.0',
        'clickwise_store_age_seconds_count{entity="user"} 1.0',
    ):
        assert line in metrics


def test_files_end_where_they_are_told_to(served: Any, tmp_path: Path) -> None:
    serve(served, tmp_path, requests(served, 10), served_rows=25)
    sizes = [pq.read_metadata(path).num_rows for path in sorted(tmp_path.iterdir())]
    assert sizes == [30, 30, 30, 10]
    assert serve(served, tmp_path / "none", requests(served, 2), served_share=0.0)[0]
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_to_stops_nothing(served: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    answers, _, log = serve(served, tmp_path / "file", requests(served, 2))
    assert len(answers) == 2 and "served requests are not kept" in log


def test_rows_of_training_are_like_training(served: Any, tmp_path: Path) -> None:
    serve(served, tmp_path, requests(served, 250))
    found = compare(served, tmp_path)
    assert {each.verdict for each in found.features} == {"alike"}, str(found)
    assert (found.served_rows, found.requests, found.training_rows) == (2500, 250, served.rows.num_rows)
    assert found.training_clicks == pytest.approx(np.mean(served.rows["click"].to_pylist()))
    assert found.served_probability == pytest.approx(found.training_probability, rel=0.1)
    assert "serving is like training; nothing to do" in str(found)
    json.dumps(found.to_data(), allow_nan=False)


def test_what_differs_comes_first_with_what_to_do(served: Any, tmp_path: Path) -> None:
    def changed(row: dict[str, Any]) -> None:
        row["user_segment"] = f"renamed {row['user_segment']}"
        row["bid_floor"] = 100 * (row["bid_floor"] or 0.0)
        if row["position"] > 1:
            row["interests"] = None

    serve(served, tmp_path, requests(served, 250, changed))
    found = compare(served, tmp_path)
    names = [each.name for each in found.features]
    by_name = {each.name: each for each in found.features}
    assert set(names[:3]) == {"user_segment", "bid_floor", "interests"}
    assert by_name["user_segment"].out_of_vocabulary == (pytest.approx(0.0, abs=0.01), 1.0)
    assert "training has not seen many of its values" in by_name["user_segment"].advice
    assert "missing more often" in by_name["interests"].advice
    assert "unit" in by_name["bid_floor"].advice
    training, served_at = by_name["bid_floor"].quantiles or ((), ())
    assert served_at[1] > 10 * max(training[1], 0.1)
    assert by_name["ad_id"].verdict == "alike"
    assert [line.split()[0] for line in str(found).splitlines()[1:4]] == names[:3]


def test_logs_that_cannot_be_compared(served: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no served requests"):
        compare(served, tmp_path)
    serve(served, tmp_path, requests(served, 1))
    (file,) = tmp_path.iterdir()
    table = pq.read_table(file)
    pq.write_table(
        table.replace_schema_metadata({b"clickwise": b'{"features": "other"}'}), tmp_path / "served-2.parquet"
    )
    report = compare(served, tmp_path)
    assert (report.files, report.files_left_out) == (1, 1) and "fewer than 200 requests" in str(report)
    file.unlink()
    with pytest.raises(DataError, match="all 1 files are of versions with other features"):
        compare(served, tmp_path)
    (tmp_path / "served-3.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"served-3.parquet: cannot be read"):
        compare(served, tmp_path)
