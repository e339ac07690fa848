"""Every recipe is a config that a run takes: no unknown key anywhere, a model that can be built, a command on top."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tomli_w
import torch

from clickwise.config import read_toml
from clickwise.data.presets import PRESETS
from clickwise.errors import ConfigError
from clickwise.features.inference import infer_schema
from clickwise.models import build_model
from clickwise.registry import models
from clickwise.run_config import RunConfig, run_config
from clickwise.schema import Schema
from model_inputs import SPECS, make_batch

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.toml"))


def sample_of(run: RunConfig) -> pa.Table:
    """A few rows with the columns that a recipe speaks of."""
    schema = run.schema
    preset = PRESETS.get(run.data.format)
    hints = {} if preset is None else preset.schema
    features = {**hints.get("features", {}), **schema.get("features", {})}
    columns = dict.fromkeys(feature.get("column", name) for name, feature in features.items()) or {"ad": None}
    table: dict[str, Any] = {name: [f"{i % 3}" for i in range(8)] for name in columns}
    for role in ("group", "item", "weight"):
        if name := schema.get(role) or hints.get(role):
            table.setdefault(name, [f"{i % 3}" for i in range(8)])
    for role in ("time", "label"):
        name = schema.get(role) or hints.get(role)
        if name:
            table[name] = [f"1410210{i}" if role == "time" else str(i % 2) for i in range(8)]
    if positive := hints.get("positive"):
        table[hints["label"]] = [positive[0] if i % 2 else "no" for i in range(8)]
    if "threshold" in schema or "threshold" in hints:
        level = schema.get("threshold", hints.get("threshold"))
        table[schema.get("label") or hints["label"]] = [level if i % 2 else level - 1 for i in range(8)]
    return pa.table(table)


def resolved(run: RunConfig) -> Schema:
    """The schema of a run on `sample_of` its columns."""
    preset = PRESETS.get(run.data.format)
    return infer_schema(sample_of(run), declared=run.schema, hints=None if preset is None else preset.schema).schema


def test_there_are_recipes() -> None:
    assert {"frappe_x1_deepfm", "criteo_x4_deepfm", "simulated_deepfm"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_is_a_whole_run(path: Path) -> None:
    run = run_config(path)
    spec = SPECS["with_dense"]
    model = build_model(run.model, spec, seed=1)
    logits = model.eval()(make_batch(spec, 6))
    assert logits.shape == (6,)
    assert torch.isfinite(logits).all()
    declared = run.schema.get("features", {})
    features = {feature.name for feature in resolved(run).features}
    assert features >= set(declared)
    assert run.model == run_config(tomllib.loads(run.to_toml(resolved(run)))).model


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_for_retrieval_has_two_sides(path: Path) -> None:
    run = run_config(path)
    if (run.training.objective or models.get(models.name_of(run.model)).objective) == "logistic":
        pytest.skip("tells clicks from the rest")
    schema = resolved(run)
    names = {feature.name for feature in schema.features}
    assert schema.item in {feature.column for feature in schema.features if feature.name in schema.item_side}
    assert set(schema.item_side) < names
    assert schema.group, "evaluation knows queries by their group"
    joined = {name for side in run.data.tables for name in side.columns}
    assert joined <= set(schema.columns()), "a column that is joined and not used"


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_says_what_to_run(path: Path) -> None:
    top = path.read_text(encoding="utf-8").split("\n\n[")[0].splitlines()
    assert all(line.startswith("#") for line in top)
    commands = [shlex.split(line.removeprefix("#")) for line in top if line.startswith("#   clickwise")]
    trainings = [words for words in commands if words[1] == "train"]
    assert len(trainings) == 1
    words = trainings[0]
    assert words[words.index("--config") + 1] == f"recipes/{path.name}"
    assert "--out" in words
    evaluated = [words[2] for words in commands if words[1] == "evaluate"]
    assert evaluated in ([], [words[words.index("--out") + 1]]), "a recipe measures the bundle that it trains"
    assert re.search(r"Published|No published setting|are those of", " ".join(top)), "where the values come from"


@pytest.mark.parametrize("section", ["data", "schema", "model", "training", "training.optimizer"])
def test_an_unknown_key_is_found(section: str, tmp_path: Path) -> None:
    content = read_toml(next(p for p in RECIPES if p.stem == "criteo_x1_deepfm"))
    table = content
    for key in section.split("."):
        table = table[key]
    table["epohcs"] = 1
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(content))
    with pytest.raises(ConfigError, match="epohcs"):
        resolved(run_config(tmp_path / "recipe.toml"))
