"""Logs where every row is a click: `schema.label = ""`, from raw rows to vectors and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import clickwise as cw
from clickwise.bundle import Towers
from clickwise.errors import ConfigError
from clickwise.features.inference import infer_schema
from clickwise.schema import Schema

FEATURES = {name: {"transform": "vocabulary"} for name in ("user", "item")}
SCHEMA = {"label": "", "item": "item", "features": FEATURES}
FAST = ["training.epochs=2", "training.batch_size=256", "model.embedding_dim=8"]


def lists(path: Path, seed: int = 0) -> Path:
    """Users of one kind like items of one kind."""
    rng = np.random.default_rng(seed)
    lines = []
    for user in range(80):
        items = rng.permutation(20)[:12] * 2 + user % 2
        lines.append(" ".join(map(str, [user, *items])))
    path.write_text("\n".join(lines))
    return path


def test_a_file_of_lists_trains_towers_that_know_who_likes_what(tmp_path: Path) -> None:
    settings = [*FAST, 'data.format="item_lists"', "training.epochs=12", "training.optimizer.learning_rate=0.02"]
    bundle = cw.train(lists(tmp_path / "train.txt"), schema=SCHEMA, model="two_tower", settings=settings)
    parts = bundle.provenance.data["parts"]
    assert sum(part["rows"] for part in parts.values()) == sum(part["positives"] for part in parts.values()) == 960
    assert bundle.schema.label == ""
    towers = Towers(bundle)
    both = pa.RecordBatch.from_pydict({"user": [str(i) for i in range(40)], "item": [str(i) for i in range(40)]})
    score = towers.queries(both) @ towers.items(both).T
    own = np.arange(40)[:, None] % 2 == np.arange(40)[None] % 2
    assert score[own].mean() > score[~own].mean() + 0.5


def test_columns_are_told_without_a_label() -> None:
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "user": [f"u{i}" for i in rng.integers(0, 30, 400)],
            "item": [f"i{i}" for i in rng.integers(0, 40, 400)],
            "price": rng.random(400),
            "click": rng.integers(0, 2, 400),
        }
    )
    inferred = infer_schema(table, declared={"label": "", "item": "item"})
    assert inferred.schema.label == "" and inferred.schema.item == "item"
    assert {f.name for f in inferred.schema.features} >= {"user", "item", "price"}
    assert not inferred.warnings


def test_telling_clicks_from_the_rest_is_refused_before_anything_is_read_twice(tmp_path: Path) -> None:
    told = r"schema\.label: is empty, so that every row is a click, .*; name the label, or train two_tower"
    data = lists(tmp_path / "train.txt")
    for model, more in (("fm", []), ("two_tower", ['training.objective="logistic"'])):
        with pytest.raises(ConfigError, match=told):
            cw.train(data, schema=SCHEMA, model=model, settings=[*FAST, 'data.format="item_lists"', *more])


@pytest.mark.parametrize("rule", [{"positive": ["1"]}, {"threshold": 0}])
def test_a_rule_for_labels_needs_one(rule: dict) -> None:
    key = next(iter(rule))
    with pytest.raises(ConfigError, match=rf"{key}: says which labels are clicks, and without a label every row is"):
        Schema(label="", **{key: tuple(v) if isinstance(v, list) else v for key, v in rule.items()})
