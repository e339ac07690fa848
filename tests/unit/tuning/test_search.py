"""A search: its space, trials that go on where they stopped, pruning, the best run, and mistakes."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import clickwise as cw
from clickwise.cli import main
from clickwise.errors import ClickwiseError, ConfigError, DataError, MissingExtraError
from clickwise.progress import Progress
from clickwise.run_config import run_config
from clickwise.tuning import search, search_space, tune
from clickwise.tuning import study as study_module

CONFIG = {
    "schema": {"label": "click"},
    "data": {"test_fraction": 0.2},
    "model": {"name": "fm"},
    "training": {"epochs": 2, "batch_size": 512},
    "tune": {
        "training.optimizer.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "model.embedding_dim": {"low": 2, "high": 6},
        "training.optimizer.name": {"choices": ["adam", "adagrad"]},
    },
}


class Stop(Progress):
    """Ctrl-C in the epoch after some trials."""

    def __init__(self, trials: int) -> None:
        self.trials = trials

    def note(self, text: str) -> None:
        self.trials -= text.startswith("trial ")

    def advance(self, rows: int, **figures: float) -> None:
        if self.trials < 0 and figures:
            raise KeyboardInterrupt


def test_the_best_run_is_a_config_that_gives_the_same_figure(small_log: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    summary = tune(CONFIG, small_log, trials=4, out=tmp_path)
    completed = [trial for trial in summary.trials if trial.state == "complete"]
    best = min(completed, key=lambda trial: trial.value)
    assert summary.best == best.number
    assert len({trial.settings for trial in summary.trials}) == 4
    run = run_config(tmp_path / "best.toml")
    assert f"training.optimizer.learning_rate={json.dumps(run.training.optimizer.learning_rate)}" in best.settings
    assert f"model.embedding_dim={run.model.embedding_dim}" in best.settings
    bundle = cw.train(small_log, config=tmp_path / "best.toml")
    assert bundle.provenance.metrics["valid"]["log_loss"] == pytest.approx(best.value, abs=1e-6)
    assert f"{best.value:.5f}" in str(summary)
    assert json.loads(json.dumps(summary.to_data()))["best"] == best.number


def test_a_search_that_was_stopped_ends_like_one_that_was_not(small_log: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")

    def found(summary: Any) -> list[Any]:
        return [(trial.number, trial.state, trial.value, trial.settings) for trial in summary.trials]

    whole = tune(CONFIG, small_log, trials=5, out=tmp_path / "whole")
    stopped = tune(CONFIG, small_log, trials=5, out=tmp_path / "parts", progress=Stop(2))
    assert stopped.interrupted
    assert "the same call goes on" in str(stopped)
    assert found(stopped) == found(whole)[:2]
    again = tune(CONFIG, small_log, trials=5, out=tmp_path / "parts")
    assert not again.interrupted
    assert found(again) == found(whole)
    assert (tmp_path / "parts" / "best.toml").read_text() == (tmp_path / "whole" / "best.toml").read_text()
    assert found(tune(CONFIG, small_log, trials=5, out=tmp_path / "parts")) == found(whole), "nothing is left to do"
    other = tune(CONFIG, small_log, trials=1, out=tmp_path / "other", seed=2)
    assert other.trials[0].settings != whole.trials[0].settings


def test_the_folder_of_another_search_is_refused(small_log: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    tune(CONFIG, small_log, trials=1, out=tmp_path)
    for change in ({"seed": 2}, {"settings": ["training.epochs=3"]}):
        with pytest.raises(ConfigError, match="holds a search with another config"):
            tune(CONFIG, small_log, trials=2, out=tmp_path, **change)


def test_the_test_part_is_never_read(small_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    real = search.prepare

    class Forbidden:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"the test part was asked for its {name}")

    def prepare(*args: Any, **kwargs: Any) -> Any:
        rows = real(*args, **kwargs)
        assert rows.test is not None
        return dataclasses.replace(rows, test=Forbidden())

    monkeypatch.setattr(search, "prepare", prepare)
    assert tune(CONFIG, small_log, trials=1, out=tmp_path).best == 0


def test_bad_runs_are_pruned_and_runs_that_explode_are_named(tmp_path: Path) -> None:
    pytest.importorskip("optuna")

    class Result:
        interrupted = False

    study = study_module.Study(tmp_path, search_space(CONFIG["tune"]), "roc_auc", 1, "x")

    def work(figures: list[float]) -> Any:
        def run(settings: list[str], tell: Any) -> Any:
            for figure in figures:
                tell(figure)
            return Result()

        return run

    def explode(settings: list[str], tell: Any) -> Any:
        raise ClickwiseError("the training loss is nan")

    for k in range(6):
        assert study.trial(work([0.6 + k / 100, 0.8]))
    assert study.trial(work([0.5, 0.99]))
    assert study.trial(work([0.7, 0.9, 0.85]))
    assert study.trial(explode)
    trials = study.trials()
    assert [trial.state for trial in trials[6:]] == ["pruned", "complete", "failed"]
    assert [trial.value for trial in trials[6:]] == [0.5, 0.9, None]
    assert trials[8].error == "the training loss is nan"
    best = study.best()
    assert best is not None
    assert best.number == 7


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "tune: is missing"),
        ({"data.valid_fraction": {"low": 0.1, "high": 0.2}}, "is not searched; allowed are keys such as"),
        ({"model": {"dropout": {"low": 0.1, "high": 0.2}}}, "is not searched"),
        ({"model.dropout": {"low": 0.5, "high": 0.2}}, "high: got 0.2, allowed is a number above low = 0.5"),
        ({"model.dropout": {"low": 0.0, "high": 0.2, "log": True}}, "low: got 0.0, allowed is a number above 0"),
        ({"model.dropout": {"choices": [0.1]}}, "allowed is a list of two values or more"),
        ({"model.dropout": {"lo": 0.1, "high": 0.2}}, r"lo: unknown key \(did you mean"),
        ({"model.embeding_dim": {"low": 2, "high": 4}}, "model.embeding_dim: unknown key.*'embedding_dim'"),
        ({"model.embedding_dim": {"low": 0, "high": 4}}, "model.embedding_dim: got 0"),
        ({"training.optimizer.name": {"choices": ["adam", "adamm"]}}, "training.optimizer.name.*'adam'"),
    ],
)
def test_a_space_that_is_not_allowed_ends_before_any_row_is_read(space: Any, said: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match=said):
        tune({**CONFIG, "tune": space}, tmp_path / "nothing.parquet", trials=1, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_mistakes(small_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(ConfigError, match="--trials: got 0"):
        tune(CONFIG, small_log, trials=0, out=tmp_path)
    with pytest.raises(DataError, match="no validation rows to choose by"):
        tune(CONFIG, small_log, trials=1, out=tmp_path, settings=["data.valid_fraction=0"])
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clickwise\[tune\]'"):
        tune(CONFIG, small_log, trials=1, out=tmp_path)


def test_on_the_command_line(
    small_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "search.toml").write_text(
        '[model]\nname = "lr"\n[training]\nepochs = 1\n[tune]\n"training.batch_size" = { choices = [256, 512] }\n'
    )
    words = ["clickwise", "tune", str(tmp_path / "search.toml"), str(small_log), "--label", "click", "--trials", "2"]
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "training.batch_size" in printed
    assert f"next: clickwise train DATA --config {tmp_path / 'out' / 'best.toml'}" in printed
