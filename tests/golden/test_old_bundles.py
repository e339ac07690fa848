"""Bundles of every format version that was ever released must still load, and score as they did when they were made.

A bundle is never regenerated: when the format changes, new folders are added beside the old ones with
`python tests/golden/test_old_bundles.py vN` (a DeepFM on every kind of transform) and
`python tests/golden/test_old_bundles.py vN_crosses` (a Wide & Deep on crosses, with FTRL's zeros and Platt scaling).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors

import clickwise as cw

BUNDLES = Path(__file__).parent / "bundles"

ROWS = [
    {
        "user": f"u{i % 9}",
        "tags": ["a", "b", "c"][: i % 4],
        "price": i % 7 + 0.5,
        "age": i % 40,
        "hour": 1767225600 + 3600 * i,
    }
    for i in range(240)
]
SCORED = [
    {"user": "u3", "tags": ["a", "b"], "price": 2.5, "age": 30, "hour": 1767225600},
    {"user": "never seen", "tags": [], "price": None, "age": None, "hour": None},
    {"user": None, "tags": ["zz", "c"], "price": 1e9, "age": -5, "hour": 1767300000},
]
SCHEMA = {
    "label": "click",
    "features": {
        "user": {"transform": "vocabulary", "min_count": 2},
        "user_hashed": {"transform": "hashing", "column": "user", "num_buckets": 16, "seed": 3},
        "tags": {"transform": "vocabulary", "pooling": "sum"},
        "price": {"transform": "bucket", "num_buckets": 4},
        "price_log": {"transform": "log", "column": "price"},
        "age": {"transform": "quantile", "num_quantiles": 5},
        "age_standard": {"transform": "standard", "column": "age"},
        "hour": {"transform": "datetime", "part": "hour"},
    },
}


CROSSES = {
    "label": "click",
    "features": {
        "user": {"transform": "vocabulary"},
        "tags": {"transform": "vocabulary", "pooling": "sum"},
        "price": {"transform": "bucket", "num_buckets": 4},
        "age": {"transform": "standard"},
        "user_x_tags": {"transform": "cross", "of": ["user", "tags"], "min_count": 2},
        "user_x_price": {"transform": "cross", "of": ["user", "price"], "num_buckets": 100},
    },
}


@pytest.mark.parametrize("version", sorted(p.name for p in BUNDLES.iterdir()))
def test_it_scores_as_it_did(version: str) -> None:
    expected = json.loads((BUNDLES / version / "expected.json").read_text())
    bundle = cw.load(BUNDLES / version / "bundle")
    np.testing.assert_allclose(bundle.predict(expected["rows"]), expected["probabilities"], rtol=1e-5)
    encoded = bundle.pipeline.encode(bundle_batch(bundle, expected["rows"]))
    assert encoded.sparse.tolist() == expected["table_rows"]


def test_the_golden_table_of_crosses_is_stored_as_the_rows_that_are_not_zero() -> None:
    with safetensors.safe_open(BUNDLES / "v1_crosses" / "bundle" / "weights.safetensors", framework="np") as weights:
        assert {f"wide.ids.table.weight.{part}" for part in ("rows", "values")} < set(weights.keys())


def bundle_batch(bundle: cw.Bundle, rows: list[dict]):  # type: ignore[no-untyped-def]
    from clickwise.data.frames import rows_to_batch

    return rows_to_batch(rows, bundle.schema.columns())


def make(version: str) -> None:
    """Train a tiny bundle and write down what it says."""
    rows = [{**row, "click": int(hash_of(i) < 0.3)} for i, row in enumerate(ROWS)]
    out = BUNDLES / version / "bundle"
    bundle = with_crosses(rows, out) if version.endswith("_crosses") else without_crosses(rows, out)
    expected = {
        "rows": SCORED,
        "probabilities": bundle.predict(SCORED).tolist(),
        "table_rows": bundle.pipeline.encode(bundle_batch(bundle, SCORED)).sparse.tolist(),
    }
    (BUNDLES / version / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def without_crosses(rows: list[dict], out: Path) -> cw.Bundle:
    settings = [
        "training.epochs=20",
        "training.batch_size=32",
        "training.optimizer.name=adam",
        "training.optimizer.learning_rate=0.01",
    ]
    model = cw.DeepFM.Config(embedding_dim=2, hidden_dims=(4,))
    return cw.train(rows, schema=SCHEMA, model=model, settings=settings, out=out)


def with_crosses(rows: list[dict], out: Path) -> cw.Bundle:
    """Clicks follow tags and price, so that scores rank the validation rows and there is something to scale."""
    rows = [
        {**row, "click": int(hash_of(i) < (0.65 if row["tags"] and row["price"] > 2 else 0.15))}
        for i, row in enumerate(rows)
    ]
    group = {"parameters": "wide.*", "optimizer": {"name": "ftrl", "learning_rate": 0.1, "l1": 0.1}}
    config = {
        "schema": CROSSES,
        "training": {"epochs": 20, "batch_size": 32, "patience": 0, "groups": [group]},
        "calibration": {"method": "platt"},
        "data": {"valid_fraction": 0.25},
    }
    return cw.train(rows, model=cw.WideDeep.Config(embedding_dim=2, hidden_dims=(4,)), config=config, out=out)


def hash_of(i: int) -> float:
    return (i * 2654435761 % 2**32) / 2**32


if __name__ == "__main__":
    make(sys.argv[1])
