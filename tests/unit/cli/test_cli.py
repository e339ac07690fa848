"""The command line as a person uses it: what it prints, what it writes, and one line for every mistake."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import typer

import clickwise.models  # registers them
from clickwise.cli import app, main
from clickwise.registry import models

SMALL = ["--set", "model.hidden_dims=[8]", "--set", "training.epochs=1", "--set", "training.batch_size=512"]


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
def bundle(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "today"
    words = ["train", str(small_log), "--label", "click", "--model", "lr", "--out", str(out), *SMALL[2:]]
    done = subprocess.run([sys.executable, "-m", "clickwise", *words], capture_output=True, text=True, check=True)
    assert "saved to" in done.stdout
    return out


def test_simulate_train_evaluate_predict_inspect(clickwise, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    log, out, scored = tmp_path / "log.csv", tmp_path / "runs" / "m", tmp_path / "scored.parquet"
    assert clickwise("simulate", log, "--rows", 3000, "--seed", 3)[0] == 0
    code, printed, progress = clickwise("train", log, "--label", "click", "--model", "fm", "--out", out, *SMALL[2:])
    assert code == 0
    assert "fm trained on" in printed
    assert "becomes" in progress, "the inferred schema is shown"
    code, printed, _ = clickwise("evaluate", out, log, "--json")
    report = json.loads(printed)
    assert 0.5 < report["metrics"]["roc_auc"] < 1
    assert report["rows"] == 3000
    assert report["best_possible"]["roc_auc"] > 0.6
    assert "roc_auc" in clickwise("evaluate", out, log)[1]
    code, printed, _ = clickwise("predict", out, log, "--out", scored)
    table = pq.read_table(scored)
    assert table.num_rows == 3000
    assert table["probability"].to_numpy().min() > 0
    assert set(pyarrow.csv.read_csv(log).column_names) < set(table.column_names)
    code, printed, _ = clickwise("inspect", out, "--json")
    assert json.loads(printed)["model"]["name"] == "fm"
    assert "user_id" in clickwise("inspect", out)[1]


def test_a_run_can_be_repeated_from_its_own_config(clickwise, small_log: Path, bundle: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, _ = clickwise("train", small_log, "--config", bundle / "config.toml", "--out", tmp_path / "again")
    assert code == 0
    first, again = (json.loads((folder / "manifest.json").read_text()) for folder in (bundle, tmp_path / "again"))
    assert first["metrics"] == again["metrics"]
    assert first["files"]["weights.safetensors"] == again["files"]["weights.safetensors"]


def write_csv(path: Path, rows: list[tuple]) -> Path:
    path.write_text("\n".join(",".join(map(str, row)) for row in [("user", "price", "click"), *rows]) + "\n")
    return path


GOOD = [(f"u{i % 7}", i % 13, int(i % 5 == 0)) for i in range(400)]


def bad_inputs() -> dict[str, tuple]:
    """Name -> (make a file, more words, what the line must say)."""
    return {
        "missing file": (lambda p: p / "nothing.csv", [], ["nothing.csv"]),
        "missing column": (lambda p: write_csv(p / "a.csv", GOOD), ["--label", "clik"], ["clik", "'click'"]),
        "not 0 or 1": (
            lambda p: write_csv(p / "a.csv", [*GOOD, *[("u", 1, 7)] * 50]),
            ["--label", "click"],
            ["click", "'7'", "schema.positive"],
        ),
        "empty": (lambda p: (p / "a.csv").touch() or p / "a.csv", ["--label", "click"], ["a.csv", "empty"]),
        "header only": (lambda p: write_csv(p / "a.csv", []), ["--label", "click"], ["a.csv", "no "]),
        "one class": (
            lambda p: write_csv(p / "a.csv", [(u, x, 0) for u, x, _ in GOOD]),
            ["--label", "click"],
            ["click", "nothing to learn"],
        ),
        "unknown model": (
            lambda p: write_csv(p / "a.csv", GOOD),
            ["--label", "click", "--model", "deepfn"],
            ["model.name", "did you mean 'deepfm'", "wide_deep"],
        ),
        "unknown key": (
            lambda p: write_csv(p / "a.csv", GOOD),
            ["--label", "click", "--set", "training.epoch=3"],
            ["training.epoch", "did you mean 'epochs'"],
        ),
        "wrong value": (
            lambda p: write_csv(p / "a.csv", GOOD),
            ["--label", "click", "--set", "training.patience=many"],
            ["training.patience", "'many'", "a whole number"],
        ),
        "unknown format": (
            lambda p: write_csv(p / "a.csv", GOOD),
            ["--label", "click", "--format", "critteo"],
            ["data.format", "did you mean 'criteo'"],
        ),
        "unreadable rows": (
            lambda p: write_csv(p / "a.csv", [*GOOD, *[("u", 1, 0, "extra")] * 50]),
            ["--label", "click"],
            ["a.csv", "row 401", "data.max_bad_fraction"],
        ),
        "wrong type": (
            lambda p: write_csv(p / "a.csv", [*GOOD, *[("u", "cheap", 0)] * 50]),
            ["--label", "click", "--set", "schema.infer=true", "--set", "schema.features.price.transform=bucket"],
            ["row 401", "'price'", "'cheap'"],
        ),
        "invalid utf-8": (
            lambda p: (p / "a.csv").write_bytes(b"user,price,click\n" + b"\xff\xfe,1,0\n" * 100) and p / "a.csv",
            ["--label", "click"],
            ["a.csv", "UTF-8"],
        ),
        "truncated gzip": (
            lambda p: (
                (p / "a.csv.gz").write_bytes(gzip.compress(os.urandom(9999).hex().encode())[:5000]) and p / "a.csv.gz"
            ),
            ["--label", "click"],
            ["a.csv.gz", "ends too early"],
        ),
        "not parquet": (
            lambda p: (p / "a.parquet").write_text("hello") and p / "a.parquet",
            ["--label", "click"],
            ["a.parquet", "Parquet"],
        ),
    }


@pytest.mark.parametrize("case", bad_inputs())
def test_a_mistake_is_one_line_and_leaves_nothing(clickwise, tmp_path: Path, case: str) -> None:  # type: ignore[no-untyped-def]
    make, words, said = bad_inputs()[case]
    data, out = make(tmp_path), tmp_path / "runs" / "m"
    code, _, errors = clickwise("train", data, "--out", out, *words, *SMALL)
    last = errors.strip().splitlines()[-1]
    assert code == 2, errors
    assert last.startswith("clickwise: error: ")
    for word in said:
        assert word in last
    assert "Traceback" not in errors
    assert not out.exists()
    left = [p.name for p in out.parent.iterdir()] if out.parent.exists() else []
    assert left in ([], ["m.quarantine.jsonl"]), "nothing half-written; a whole list of the bad rows may stay"


def test_a_few_bad_rows_go_to_quarantine_and_are_counted(clickwise, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    rows = [*GOOD, ("u1", 3, "maybe"), *GOOD]
    data = write_csv(tmp_path / "a.csv", rows)
    quarantine = tmp_path / "bad.jsonl"
    words = ["--label", "click", "--out", tmp_path / "m", "--set", f'data.quarantine="{quarantine}"', *SMALL]
    code, printed, errors = clickwise("train", data, *words)
    assert code == 0, errors
    assert re.search(r"unreadable +1 rows", printed)
    found = json.loads(quarantine.read_text())
    assert (found["row"], found["column"], found["value"]) == (401, "click", "maybe")


def test_a_changed_byte_in_a_bundle_is_found(clickwise, bundle: Path, small_log: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import shutil

    copy = shutil.copytree(bundle, tmp_path / "copy")
    for name, verbs in (
        ("weights.safetensors", [["inspect", copy]]),  # opening does not read the weights: see ADR 6
        ("features/pipeline.json", [["evaluate", copy, small_log], ["inspect", copy]]),
    ):
        whole = (copy / name).read_bytes()
        (copy / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        for verb in verbs:
            code, _, errors = clickwise(*verb)
            assert code == 2
            assert "checksum" in errors.strip().splitlines()[-1]
        (copy / name).write_bytes(whole)


def test_predict_writes_nothing_when_it_fails(clickwise, bundle: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = write_csv(tmp_path / "a.csv", GOOD)
    code, _, errors = clickwise("predict", bundle, data, "--out", tmp_path / "scored.csv")
    assert code == 2
    assert "column 'timestamp': the model needs this column" in errors
    code, _, errors = clickwise("predict", bundle, data, "--out", tmp_path / "scored.xls")
    assert code == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv"]


def test_predict_does_not_write_over_what_it_reads(clickwise, bundle: Path, small_log: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = tmp_path / "day=1" / "log.parquet"
    data.parent.mkdir()
    data.write_bytes(small_log.read_bytes())
    (links := tmp_path / "links").mkdir()
    (links / "soft.parquet").symlink_to(data)
    (links / "hard.parquet").hardlink_to(data)
    for read, out in ((data, data), (data.parent, data), (data, links / "soft.parquet"), (links, data)):
        code, _, errors = clickwise("predict", bundle, read, "--out", out)
        assert code == 2
        assert "would be written over" in errors.splitlines()[-1]
    assert data.read_bytes() == small_log.read_bytes()


def test_lists_survive_a_csv_of_predictions(clickwise, bundle: Path, small_log: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("a.csv", "a.csv.gz", "a.parquet"):
        assert clickwise("predict", bundle, small_log, "--out", tmp_path / name)[0] == 0
    expected = pq.read_table(tmp_path / "a.parquet")
    for name in ("a.csv", "a.csv.gz"):
        table = pyarrow.csv.read_csv(tmp_path / name)
        assert table["probability"].to_pylist() == expected["probability"].to_pylist()
        joined = ["|".join(x or []) for x in expected["interests"].to_pylist()]
        assert table["interests"].cast(pa.string()).to_pylist() == joined


@pytest.mark.slow
def test_a_mistake_in_what_is_asked_of_a_csv_never_ends_in_an_abort(tmp_path: Path) -> None:
    rows = "".join(f"{i % 997},u{i % 89},{i % 101 / 7:.3f},{i % 5 == 0:d}\n" for i in range(60_000))
    (tmp_path / "a.csv").write_text("user_id,ad_id,price,click\n" + rows)
    command = [sys.executable, "-m", "clickwise", "train", str(tmp_path / "a.csv"), "--label", "clik", "--model", "lr"]
    for _ in range(10):  # one of four ended in an abort when Arrow was left reading ahead
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert "did you mean 'click'?" in line


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_the_same_call_goes_on(small_log: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    command = [sys.executable, "-m", "clickwise", "train", str(small_log), "--label", "click", "--out", str(out)]
    command += [*SMALL[:2], "--set", "training.epochs=100000", "--set", "training.patience=0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("epoch 2,"):
            break
    time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "stopped early by Ctrl-C" in printed
    assert "the same call goes on from here" in errors
    assert json.loads((out / "manifest.json").read_text())["training"]["interrupted"]
    going_on = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert going_on.stderr is not None
    seen = [
        line
        for line in iter(going_on.stderr.readline, "")
        if not line.startswith("epoch") or not going_on.send_signal(signal.SIGINT)
    ]
    going_on.communicate(timeout=60)
    assert any(line.startswith("going on from") for line in seen)


def test_help_names_every_model() -> None:
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    shipped = [name for name in models if ":" not in name]  # other tests bring files of their own
    (help_text,) = [option.help for option in command.params if option.name == "model"]
    assert set(re.findall(r"\w+", help_text)) == {*shipped, "default", "or", "FILE", "CLASS"}
