"""What tests of feature stores share: features fitted on a few rows, an entity of them, and rows of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.features.schema_data import schema_from_data
from clickwise.serving.features.entity import Entity
from clickwise.serving.features.layout import Layout

FEATURES: dict[str, Any] = {
    "user_id": {"transform": "vocabulary", "min_count": 1},
    "segment": {"transform": "vocabulary", "min_count": 1},
    "tags": {"transform": "vocabulary", "min_count": 1, "weights": "tag_weights"},
    "age": {"transform": "standard"},
    "income": {"transform": "bucket", "num_buckets": 4},
    "ad_id": {"transform": "vocabulary", "min_count": 1},
    "seen": {"transform": "sequence", "shares": "ad_id", "max_length": 3},
    "segment_x_ad": {"transform": "cross", "of": ["segment", "ad_id"], "num_buckets": 50},
}
USER = Entity(name="user", key="user_id", columns=("segment", "tags", "tag_weights", "age", "income", "seen"))


def rows(count: int, seed: int = 0) -> pa.RecordBatch:
    """Rows [count] of users u0, u1, .. with everything that is known of them, some of it null."""
    chance = np.random.default_rng(seed)
    lists = [[f"t{i}" for i in chance.integers(0, 9, n)] for n in chance.integers(0, 4, count)]
    seen = [[f"a{i}" for i in chance.integers(0, 7, n)] for n in chance.integers(0, 5, count)]
    age = chance.normal(40, 10, count)
    return pa.RecordBatch.from_pydict(
        {
            "user_id": [f"u{i}" for i in range(count)],
            "segment": [None if i % 7 == 3 else f"s{i % 5}" for i in chance.integers(0, 40, count).tolist()],
            "tags": pa.array(lists, pa.list_(pa.string())),
            "tag_weights": pa.array([[0.5 + len(t)] * len(t) for t in lists], pa.list_(pa.float64())),
            "age": pa.array(np.where(age < 25, np.nan, age), from_pandas=True),
            "income": chance.integers(0, 1000, count),
            "ad_id": [f"a{i}" for i in chance.integers(0, 7, count)],
            "seen": pa.array(seen, pa.list_(pa.string())),
        }
    )


def fitted(seed: int = 0) -> FeaturePipeline:
    """Features fitted on 200 rows (crosses left out, as they are of no entity)."""
    data = rows(200, seed)
    features = {name: config for name, config in FEATURES.items() if config["transform"] != "cross"}
    schema = schema_from_data({"label": "click", "features": features})
    fit = FeaturePipeline.fitting(schema, {field.name: field.type for field in data.schema})
    fit.update(data)
    return fit.finish()


def layout_of(pipeline: FeaturePipeline, digest: str = "one", **changes: Any) -> Layout:
    """The layout of `USER`."""
    from dataclasses import replace

    return Layout(replace(USER, **changes), pipeline, digest)


def encoded(layout: Layout, data: pa.RecordBatch) -> Encoded:
    """What the layout's part gives for whole rows."""
    return layout.part.encode(data.select(layout.columns))


def same(one: Encoded, other: Encoded) -> bool:
    """Bit for bit."""
    pairs = zip(one, other, strict=True)
    return all(a is b is None or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)
