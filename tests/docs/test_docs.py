"""What the README and the docs say, runs; every verb and flag is documented; links lead somewhere."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise.cli import main
from clickwise.data.simulator import SimulatorConfig, write_simulation
from clickwise.pipeline import export
from clickwise.registry import is_file_model, models
from clickwise.run_config import run_config
from clickwise.serving.engine import Engine
from verbs import verbs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def file_name(block: str) -> str:
    """The file that a block of Python is, by a comment in its first line; "" when it is none."""
    found = re.match(r"# (\w+\.py)\n", block)
    return found[1] if found else ""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the documents speak of."""
    small = {"num_users": 300, "num_ads": 40}
    write_simulation(SimulatorConfig(rows=3000, **small), tmp_path / "clicks.parquet")
    write_simulation(SimulatorConfig(rows=2000, start_day=1, **small), tmp_path / "tomorrow.parquet")
    rows = pq.read_table(tmp_path / "tomorrow.parquet").slice(0, 20).drop_columns(["click", "true_probability"])
    interests = pa.array(["|".join(cell) for cell in rows["interests"].to_pylist()])
    rows = rows.set_column(rows.schema.get_field_index("interests"), "interests", interests)
    pa.csv.write_csv(rows, tmp_path / "new.csv")
    for block in (block for page in PAGES for block in blocks(page, "python") if file_name(block)):
        (tmp_path / file_name(block)).write_text(block)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_command(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code, words


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")], ids=lambda p: p.name)
def test_commands_run(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = 0
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["clickwise"]:
                run_command(words, monkeypatch)
                ran += 1
    assert ran


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_runs(page: Path, desk: Path) -> None:
    for block in (block for block in blocks(page, "python") if not file_name(block)):
        exec(compile(block, page.name, "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "toml")], ids=lambda p: p.name)
def test_config_files_are_valid(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in blocks(page, "toml"):
        assert run_config(tomllib.loads(block))
        (desk / "config.toml").write_text(block)
        words = "clickwise train clicks.parquet --config config.toml --out runs/c --set training.epochs=1"
        run_command(words.split(), monkeypatch)


def test_every_verb_and_flag_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = dict(
        re.findall(r"^## `clickwise ([a-z-]+(?: [a-z-]+)*).*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    )
    for name, command in verbs().items():
        assert name in sections, f"docs/cli.md has no section for {name}"
        for param in command.params:
            for flag in (f for f in param.opts if f.startswith("--") and f != "--help"):
                assert f"`{flag}`" in sections[name], f"docs/cli.md does not say what {name} {flag} is"
    assert set(sections) == set(verbs())


def test_every_model_is_named() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.split("## `clickwise train")[1].split("\n## ")[0]
    (line,) = [line for line in section.splitlines() if line.startswith("- `--model`")]
    documented = re.findall(r"`([a-z0-9_]+)`", line)
    (option,) = [param for param in verbs()["train"].params if "--model" in param.opts]
    helped = re.findall(r"[a-z0-9_]+(?=,| \(default\))", option.help)
    assert sorted(documented) == sorted(helped) == sorted(name for name in models if not is_file_model(name))


@pytest.mark.slow
def test_the_model_of_ones_own_answers_as_a_version_and_as_onnx(desk: Path) -> None:
    mine: dict[str, Any] = {"model": "my_model.py:WeightedPairs"}
    bundle = cw.train("clicks.parquet", label="click", out="mine", settings=["training.epochs=1"], **mine)
    rows = pq.read_table("tomorrow.parquet").select(bundle.pipeline.columns).combine_chunks().to_batches()[0]
    encoded, expected = bundle.pipeline.encode(rows), bundle.logits(rows)
    export("mine", "version", **mine)
    np.testing.assert_allclose(Engine.open("version").score_rows(rows).logits, expected, atol=1e-5)
    export("mine", "mine.onnx", format="onnx", **mine)
    session = onnxruntime.InferenceSession("mine.onnx")
    feeds = {each.name: encoded._asdict()[each.name] for each in session.get_inputs()}
    np.testing.assert_allclose(session.run(["logits"], feeds)[0], expected, atol=1e-5)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_begins_with_the_two_commands() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:30])
    assert "make demo" in first_screen
    assert "make test" in first_screen
