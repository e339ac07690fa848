"""Bundles of three models on simulated rows, and the versions that they were exported to."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise.pipeline import export

FEATURES: dict[str, Any] = {
    "user_id": {"transform": "vocabulary", "min_count": 1},
    "user_age": {"transform": "bucket", "num_buckets": 8},
    "user_segment": {"transform": "vocabulary", "min_count": 1},
    "interests": {"transform": "vocabulary", "min_count": 1},
    "site_id": {"transform": "hashing", "num_buckets": 300},
    "hour": {"transform": "datetime", "part": "hour", "column": "timestamp"},
    "ad_id": {"transform": "vocabulary", "min_count": 1},
    "history": {"transform": "sequence", "shares": "ad_id", "max_length": 5},
    "ad_category": {"transform": "vocabulary", "min_count": 2},
    "bid_floor": {"transform": "standard"},
    "position": {"transform": "log"},
    "segment_x_category": {"transform": "cross", "of": ["user_segment", "ad_category"], "min_count": 2},
    "site_x_interests": {"transform": "cross", "of": ["site_id", "interests"], "num_buckets": 100},
}
MODELS: dict[str, Any] = {
    "deepfm": {"model": {"name": "deepfm", "hidden_dims": [32, 16], "batch_norm": True}},
    "wide_deep": {"model": {"name": "wide_deep", "hidden_dims": [32]}, "calibration": {"method": "platt"}},
    "din": {"model": {"name": "din", "hidden_dims": [32], "activation": "dice"}},
}


class Served(NamedTuple):
    """Files of one model: its bundle and its version, and the rows it was trained on."""

    bundle: Path
    version: Path
    rows: pa.Table


@pytest.fixture(scope="session")
def log_with_history(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = pq.read_table(small_log)
    seen: dict[str, list[str]] = defaultdict(list)
    history = []
    for user, ad in zip(rows["user_id"].to_pylist(), rows["ad_id"].to_pylist(), strict=True):
        history.append(list(seen[user]))
        seen[user].append(ad)
    path = tmp_path_factory.mktemp("history") / "clicks.parquet"
    pq.write_table(rows.append_column("history", pa.array(history, pa.list_(pa.string()))), path)
    return path


@pytest.fixture(scope="session", params=MODELS)
def served(request: pytest.FixtureRequest, log_with_history: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp(request.param)
    schema = {"label": "click", "features": FEATURES}
    config = {**MODELS[request.param], "schema": schema, "training": {"epochs": 2}}
    cw.train(log_with_history, config=config, out=folder / "bundle")
    export(folder / "bundle", folder / "version")
    return Served(folder / "bundle", folder / "version", pq.read_table(log_with_history))
