"""`clickwise evaluate` of a model for retrieval, and how it differs from that of one for clicks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import clickwise as cw
from clickwise.cli import main

SETTINGS = ["training.epochs=1", "training.batch_size=64", "model.embedding_dim=4", "data.format=item_lists"]


@pytest.fixture
def clickwise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run a command line; gives exit code, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["clickwise", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists of items as benchmarks have them, and two bundles: one for retrieval, one for clicks."""
    out, rng = tmp_path_factory.mktemp("lists"), np.random.default_rng(0)
    lists = {user: rng.permutation(60)[:12].tolist() for user in range(50)}
    for name, part in (("train", slice(0, 8)), ("test", slice(8, 12))):
        lines = [" ".join(map(str, [user, *items[part]])) for user, items in lists.items()]
        (out / f"{name}.txt").write_text("\n".join(lines) + "\n")
    schema = {"label": "", "item": "item"}
    cw.train(out / "train.txt", model="two_tower", out=out / "towers", schema=schema, settings=SETTINGS)
    rows = [{"user": user, "item": int(user * 7 % 5), "click": user % 2} for user in range(200)]
    cw.train(rows, label="click", model="lr", out=out / "clicks", settings=["training.epochs=1"])
    (out / "clicks.csv").write_text("user,item,click\n1,2,1\n2,3,0\n")
    return out


@pytest.mark.filterwarnings("ignore::clickwise.errors.ClickwiseWarning")
def test_a_model_for_retrieval_is_measured_as_one(clickwise, folder: Path) -> None:  # type: ignore[no-untyped-def]
    words = ["evaluate", folder / "towers", folder / "test.txt", "--seen", folder / "train.txt"]
    code, printed, progress = clickwise(*words)
    assert code == 0, progress
    assert "50 queries, 200 relevant items" in printed and "popularity" in printed and "recall_at_20" in printed
    code, printed, _ = clickwise(*words, "--json")
    data = json.loads(printed)
    assert data["queries"] == 50 and 0.0 < data["metrics"]["recall_at_50"] <= 1.0
    assert set(data["baselines"]) == {"popularity"}


@pytest.mark.filterwarnings("ignore::clickwise.errors.ClickwiseWarning")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["towers", "test.txt"], "--seen: is missing: give the training log"),
        (["clicks", "clicks.csv", "--seen", "clicks.csv"], "the model is lr, which gives click probabilities"),
        (["clicks", "clicks.csv", "--items", "clicks.csv"], "evaluate it without --seen and --items"),
        (["towers", "clicks.csv", "--seen", "train.txt", "--format", "csv"], "has no such column"),
        (["towers", "test.txt", "--seen", "absent.txt"], "absent.txt"),
    ],
)
def test_mistakes_are_one_line(clickwise, folder: Path, monkeypatch, words, said) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(folder)
    code, printed, error = clickwise("evaluate", *words)
    assert (code, printed) == (2, "")
    assert said in error.splitlines()[-1] and error.splitlines()[-1].startswith("clickwise: error: ")
