"""The accuracy benchmark: real runs on tiny files, what is not run twice, and the table beside published figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

RECIPE = """
[schema]
label = "click"
[model]
name = "lr"
[training]
epochs = 2
batch_size = 512
"""


@pytest.fixture
def accuracy(script: Callable[[str], Any]) -> Any:
    return script("accuracy")


@pytest.fixture
def data(small_log: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    rows = pq.read_table(small_log)
    for part, (start, length) in {"train": (0, 3000), "valid": (3000, 1000), "test": (4000, 1000)}.items():
        pq.write_table(rows.slice(start, length), folder / f"{part}.parquet")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny_lr.toml").write_text(RECIPE)
    return folder


@pytest.mark.slow
def test_runs_are_made_once_and_measured_on_the_test_file(
    accuracy: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import report

    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    calls: list[tuple[object, ...]] = []
    real = accuracy.clickwise
    monkeypatch.setattr(accuracy, "clickwise", lambda *words: calls.append(words) or real(*words))
    words = ["accuracy.py", "--data", str(data), "--models", "lr", "--seeds", "2", "--jobs", "2"]
    words += ["--out", str(tmp_path / "out"), "--recipes", str(tmp_path / "recipes")]
    monkeypatch.setattr(sys, "argv", words)
    accuracy.main()
    assert sorted(call[0] for call in calls) == ["evaluate", "evaluate", "train", "train"]
    for call in calls:
        assert any("test.parquet" in str(word) for word in call) == (call[0] == "evaluate")
    assert "no published figures for tiny" in capsys.readouterr().out
    written = json.loads(next((tmp_path / "results").glob("*-accuracy-tiny.json")).read_text())
    first, second = written["runs"]["lr"]
    assert [run["asked"]["seed"] for run in (first, second)] == [1, 2]
    assert 0.5 < first["test"]["roc_auc"] < 1 and first["test"] != first["valid"] != second["valid"]
    del calls[:]
    accuracy.main()
    assert not calls, "every result was there"
    (tmp_path / "recipes" / "tiny_lr.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    (tmp_path / "out" / "tiny" / "lr-2.json").unlink()
    accuracy.main()
    assert len(calls) == 4, "a changed recipe makes new results"


def test_an_interrupted_training_is_no_result(
    accuracy: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "clickwise", lambda *words: {"training": {"interrupted": True}})
    run = accuracy.Run(
        data / "train.parquet", None, data / "test.parquet", "lr", tmp_path / "recipes" / "tiny_lr.toml", 1, ()
    )
    assert accuracy.run_all([run], tmp_path / "out", 1) == {}
    assert not (tmp_path / "out").exists()


def test_a_run_that_fails_says_why(accuracy: Any, data: Path, tmp_path: Path) -> None:
    with pytest.raises(accuracy.RunFailed, match=r"clickwise: error: .*no_such"):
        accuracy.clickwise("train", tmp_path / "no_such.parquet", "--label", "click", "--out", tmp_path / "m")


def test_the_table_shows_mean_spread_and_published_figures(accuracy: Any) -> None:
    def run(auc: float, loss: float, seconds: float) -> dict[str, Any]:
        return {"test": {"roc_auc": auc, "log_loss": loss}, "seconds": seconds}

    results = {"deepfm": [run(0.98, 0.15, 10.0), run(0.99, 0.17, 12.0)], "mine": [run(0.5, 0.7, 1.0)]}
    published = {"deepfm": {"average": {"roc_auc": 0.98395, "log_loss": 0.14946}, "best": {"roc_auc": 0.9842}}}
    lines = accuracy.results_table(results, published).splitlines()
    assert lines[2].split() == (
        ["deepfm", "2", "0.98500", "±", "0.00707", "0.98395", "0.9842", "0.16000", "±", "0.01414", "0.14946", "11"]
    )
    assert lines[3].split() == ["mine", "1", "0.50000", "0.70000", "1"]


def test_published_figures_are_those_of_five_runs_and_the_best(accuracy: Any) -> None:
    import tomllib

    published = tomllib.loads(accuracy.PUBLISHED.read_text())["frappe_x1"]
    assert published["models"]["deepfm"]["average"] == {"roc_auc": 0.98395, "log_loss": 0.14946}
    assert "fresh draw" in published["note"]
    for model, figures in published["models"].items():
        assert figures.keys() <= {"average", "best"}, model
        for pair in figures.values():
            assert pair.keys() == set(accuracy.METRICS)
            assert 0.9 < pair["roc_auc"] < 1 and 0.1 < pair["log_loss"] < 0.4
