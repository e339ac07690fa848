"""Models in a file of the user's: trained, saved by name, opened only with the file; and every mistake in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise.bundle.files import MANIFEST, seal
from clickwise.cli import main
from clickwise.data.open import open_source
from clickwise.errors import BundleError, ClickwiseError, ConfigError
from clickwise.models import LR, model_from_file
from clickwise.pipeline.training import _checkpoint_folder
from clickwise.registry import models
from clickwise.run_config import run_config
from clickwise.schema import Schema

FILE = '''
from __future__ import annotations
from dataclasses import dataclass
import torch
from clickwise.layers import Linear
from clickwise.models import LR, Ranker
from clickwise.registry import register_model

@register_model("doubled")
class Doubled(Ranker):
    """logit = factor * (b + sum_f w_f)."""
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        factor: float = 2.0
    def __init__(self, config: Config, inputs) -> None:
        super().__init__(config, inputs)
        self.linear = Linear(inputs)
        self.factor = torch.tensor([config.factor])
    @property
    def output_bias(self):
        return self.linear.bias
    def forward(self, batch):
        return self.factor * self.linear(batch)

class NotAModel: pass
class Borrowed(Ranker):
    Config = LR.Config
    def forward(self, batch): return None
class NoForward(Ranker):
    @dataclass(frozen=True)
    class Config: pass
'''
FAST = ["training.epochs=1", "training.batch_size=512"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.fixture(autouse=True)
def _registry_as_before():  # type: ignore[no-untyped-def]
    with models.unchanged():
        yield


def test_it_trains_and_is_opened_with_its_file(file: Path, small_log: Path, tmp_path: Path) -> None:
    out, reference = tmp_path / "m", f"{file}:Doubled"
    trained = cw.train(small_log, label="click", model=reference, out=out, settings=[*FAST, "model.factor=3.0"])
    rows = pq.read_table(small_log)
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["model"] == {"name": "mine.py:Doubled", "config": {"factor": 3.0}}
    assert not [p for p in out.rglob("*") if p.is_file() and b"Ranker" in p.read_bytes()], "no code in the bundle"
    opened = cw.load(out, model=reference)
    assert opened.model.factor.item() == 3.0
    np.testing.assert_array_equal(opened.logits(rows), trained.logits(rows))
    assert cw.evaluate(out, small_log, model=reference).metrics["roc_auc"] > 0.55
    summary = cw.predict(out, small_log, tmp_path / "scored.parquet", model=reference)
    assert summary.rows == len(rows)


def test_its_own_config_repeats_the_run(file: Path, small_log: Path, tmp_path: Path) -> None:
    out, reference = tmp_path / "m", f"{file}:Doubled"
    first = cw.train(small_log, label="click", model=reference, out=out, settings=[*FAST, "model.factor=3.0"])
    again = cw.train(small_log, config=out / "config.toml", model=reference)
    np.testing.assert_array_equal(first.logits(pq.read_table(small_log)), again.logits(pq.read_table(small_log)))


def test_opening_runs_no_code_and_says_what_to_pass(file: Path, small_log: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    with models.unchanged():  # so that it is forgotten, as in a new process
        cw.train(small_log, label="click", model=f"{file}:Doubled", out=out, settings=FAST)
    file.write_text("raise RuntimeError('ran')")
    said = r"its model is 'mine.py:Doubled'.*--model FILE:CLASS, or load\(folder, model='FILE:CLASS'\) .*"
    said += rf"to serve .* `clickwise export {out} --model FILE:CLASS --out VERSION` makes"
    with pytest.raises(BundleError, match=said):
        cw.load(out)
    manifest = json.loads((out / MANIFEST).read_text())
    manifest["model"]["name"] = f"{file}:Doubled"
    seal(out, {k: v for k, v in manifest.items() if k not in ("format", "format_version", "files")})
    with pytest.raises(BundleError, match="--model FILE:CLASS"):
        cw.load(out)
    with pytest.raises(ConfigError, match="line 1: RuntimeError: ran"):
        cw.load(out, model=f"{file}:Doubled")


def test_another_model_than_the_bundles_is_refused(file: Path, small_log: Path, tmp_path: Path) -> None:
    cw.train(small_log, label="click", model="lr", out=tmp_path / "lr", settings=FAST)
    with pytest.raises(BundleError, match=r"was trained with 'lr', and the model given is 'mine.py:Doubled'"):
        cw.load(tmp_path / "lr", model=f"{file}:Doubled")
    cw.train(small_log, label="click", model=f"{file}:Doubled", out=tmp_path / "m", settings=FAST)
    file.write_text(FILE.replace("self.linear", "self.line"))
    with pytest.raises(BundleError, match="does not belong to this model or is missing"):
        cw.load(tmp_path / "m", model=f"{file}:Doubled")


def test_no_config_runs_code(file: Path) -> None:
    for config in ({"config": {"model": {"name": f"{file}:Doubled"}}}, {"settings": [f"model.name={file}:Doubled"]}):
        with pytest.raises(ConfigError, match="is code, which no config runs"):
            run_config(**config)
    run = run_config({"model": {"name": "mine.py:Doubled", "factor": 5.0}}, model=f"{file}:Doubled")
    assert run.model.factor == 5.0


def test_the_registry_keeps_only_the_class_that_was_asked_for(file: Path, tmp_path: Path) -> None:
    before = set(models)
    assert model_from_file(f"{file}:Doubled") == "mine.py:Doubled"
    assert set(models) == before | {"mine.py:Doubled"}
    first = models.get("mine.py:Doubled")
    model_from_file(f"{file}:Doubled")
    assert models.get("mine.py:Doubled") is first, "the same content runs once"
    file.write_text(FILE.replace("2.0", "7.0"))
    model_from_file(f"{file}:Doubled")
    assert models.get("mine.py:Doubled").Config().factor == 7.0
    assert not list(tmp_path.rglob("*.pyc"))
    assert models.name_of(LR.Config()) == "lr"


def test_a_stopped_run_does_not_go_on_with_other_code(file: Path, small_log: Path) -> None:
    source, schema = open_source(small_log), Schema(label="click")

    def folder() -> Path | None:
        return _checkpoint_folder(run_config(model=f"{file}:Doubled"), schema, source.fingerprint(), None)

    first = folder()
    assert first is not None
    assert folder() == first
    file.write_text(FILE.replace("self.factor * ", "self.factor + "))
    assert folder() != first


@pytest.mark.parametrize(("logits", "said"), [("x[:, None]", r"logits of shape \[512, 1\]"), ("None", "NoneType")])
def test_logits_of_another_shape_are_named(file: Path, small_log: Path, logits: str, said: str) -> None:
    file.write_text(FILE.replace("return self.factor * self.linear(batch)", f"x = self.linear(batch); return {logits}"))
    with (
        models.unchanged(),
        pytest.raises(ClickwiseError, match=rf"Doubled.*{said} for a batch of 512.*wanted is \[B\]"),
    ):
        cw.train(small_log, label="click", model=f"{file}:Doubled", settings=FAST)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nowhere.py:Doubled", r"model: .*nowhere.py: no such file"),
        ("mine.py:Dubled", r"mine.py: defines no class 'Dubled' \(did you mean 'Doubled'\?\); its models are Doubled"),
        ("mine.py:LR", "mine.py: defines no class 'LR'"),
        ("mine.py:NotAModel", "mine.py: NotAModel is not a Ranker"),
        ("mine.py:Borrowed", "mine.py: Borrowed has no Config of its own"),
        ("mine.py:NoForward", "mine.py: NoForward has no forward"),
        ("mine.py:", "allowed is FILE:CLASS"),
        (":Doubled", "allowed is FILE:CLASS"),
        (".:Doubled", "cannot be read"),
        ("broken.py:M", "broken.py, line 3: ZeroDivisionError"),
        ("syntax.py:M", "syntax.py, line 2: SyntaxError"),
        ("twice.py:M", "twice.py, line 2: ConfigError: model 'lr' is registered twice"),
    ],
)
def test_mistakes(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, said: str) -> None:
    (tmp_path / "broken.py").write_text("import json\n\n1 / 0\n")
    (tmp_path / "syntax.py").write_text("import json\nclass M(:\n")
    (tmp_path / "twice.py").write_text(
        "from clickwise.registry import register_model\n@register_model('lr')\nclass M: 1"
    )
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a file that does not run leaves nothing behind
        with pytest.raises(ConfigError, match=said):
            model_from_file(reference)
    assert models.get("lr") is LR


def test_on_the_command_line(
    file: Path, small_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["clickwise", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    fast = [word for setting in FAST for word in ("--set", setting)]
    with models.unchanged():
        words = ["--label", "click", "--model", "mine.py:Doubled", "--out", "m", *fast]
        code, printed, _ = run("train", small_log, *words)
    assert code == 0
    assert "next: clickwise evaluate m NEW_DATA --model mine.py:Doubled" in printed
    assert run("inspect", "m")[0] == 0
    code, _, errors = run("evaluate", "m", small_log)
    assert code == 2
    assert "--model FILE:CLASS" in errors
    assert run("evaluate", "m", small_log, "--model", "mine.py:Doubled")[0] == 0
    assert run("predict", "m", small_log, "--out", "scored.csv", "--model", "mine.py:Doubled")[0] == 0
