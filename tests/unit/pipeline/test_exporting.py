"""`export`: what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq
import pytest
import torch

import clickwise as cw
from clickwise.bundle import Bundle, graph
from clickwise.cli import main
from clickwise.errors import BundleError, ConfigError
from clickwise.pipeline import export
from clickwise.serving.engine import Engine

LR: dict[str, Any] = {"model": {"name": "fm", "embedding_dim": 2}, "training": {"epochs": 1}}
PLATT: dict[str, Any] = {**LR, "calibration": {"method": "platt"}}


@pytest.fixture(scope="module")
def bundle(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exporting") / "bundle"
    cw.train(small_log, label="click", config=PLATT, out=out)
    return out


@pytest.mark.slow
def test_the_same_bundle_gives_the_same_version_and_takes_the_place_of_an_older_one(
    bundle: Path, tmp_path: Path
) -> None:
    first = export(bundle, tmp_path / "v")
    again = export(bundle, tmp_path / "v")
    assert first.version == again.version == Engine.open(tmp_path / "v").version
    assert first.size_bytes == sum(p.stat().st_size for p in (tmp_path / "v").rglob("*") if p.is_file())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v"]
    for name in ("pipeline.json", "000.arrow"):
        assert (tmp_path / "v" / "features" / name).read_bytes() == (bundle / "features" / name).read_bytes()


@pytest.mark.slow
def test_one_file_runs_in_plain_onnx_runtime(bundle: Path, small_log: Path, tmp_path: Path) -> None:
    export(bundle, tmp_path / "model.onnx", format="onnx")
    trained, rows = cw.load(bundle), pq.read_table(small_log).slice(0, 500)
    batch = rows.select(trained.pipeline.columns).combine_chunks().to_batches()[0]
    encoded = trained.pipeline.encode(batch)._asdict()
    session = ort.InferenceSession(tmp_path / "model.onnx")
    feeds = {each.name: encoded[each.name] for each in session.get_inputs()}
    assert feeds["sparse"].dtype == np.int32
    np.testing.assert_allclose(session.run(["logits"], feeds)[0], trained.logits(rows), atol=1e-5)


@pytest.mark.slow
def test_the_command_says_what_it_wrote(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["clickwise", "export", str(bundle), "--out", str(tmp_path / "v"), *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return f"{stop.value.code or 0} {''.join(capsys.readouterr())}"

    said = json.loads(run("--json")[2:])
    assert said.keys() == {"out", "model", "format", "version", "size_bytes"}
    assert f"version {said['version']} of fm" in run()
    assert run("--format", "tar").startswith("2 clickwise: error: --format: got 'tar', allowed is serving or onnx")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["serving", "onnx"])
def test_a_graph_that_answers_otherwise_is_refused(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    def off(write: Any) -> Any:
        def written(model: Any, *rest: Any) -> Any:
            with torch.no_grad():
                model.linear.bias += 0.01
                found = write(model, *rest)
                model.linear.bias -= 0.01
            return found

        return written

    monkeypatch.setattr(graph, "write_graph", off(graph.write_graph))
    monkeypatch.setattr(graph, "write_whole", off(graph.write_whole))
    says = r"its fm, written as ONNX, does not answer in ONNX Runtime as .* golden request 1: its logits are \S+ off"
    with pytest.raises(BundleError, match=says):
        export(bundle, tmp_path / "v", format=format)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("format", ["serving", "onnx"])
def test_what_onnx_runtime_cannot_run_is_refused(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("Non-zero status code returned while running MatMul node.\nMore of it.")

    monkeypatch.setattr(ort.InferenceSession, "run", fails)
    with pytest.raises(BundleError, match=r"as it does here: Non-zero status code .* MatMul node\.; nothing is kept"):
        export(bundle, tmp_path / "v", format=format)
    assert not list(tmp_path.iterdir())


def test_what_is_no_version_is_not_replaced(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "notes.txt", bundle):
        with pytest.raises(BundleError, match="exists and is not a clickwise version"):
            export(bundle, out)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_formats_are_known(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--format: got 'tar', allowed is serving or onnx"):
        export(bundle, tmp_path / "v", format="tar")


def changed(bundle: Path, out: Path, **changes: Any) -> Path:
    """A copy of a bundle with other parts."""
    found = cw.load(bundle)
    parts = {"pipeline": found.pipeline, "model": found.model, "provenance": found.provenance, **changes}
    Bundle(**parts).save(out)
    return out


def test_weights_that_are_no_numbers_are_refused(bundle: Path, tmp_path: Path) -> None:
    model = cw.load(bundle).model
    with torch.no_grad():
        next(iter(model.tables().values())).weight[5] = float("nan")
    with pytest.raises(BundleError, match=r"its weights 'linear.ids.table.weight' hold what is no finite number"):
        export(changed(bundle, tmp_path / "nan", model=model), tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_models_for_retrieval_are_refused(bundle: Path, tmp_path: Path) -> None:
    made = cw.load(bundle).provenance
    made.training["objective"] = "sampled_softmax"
    with pytest.raises(BundleError, match="was trained for retrieval and gives scores, no probabilities"):
        export(changed(bundle, tmp_path / "towers", provenance=made), tmp_path / "v")


def test_a_damaged_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = changed(bundle, tmp_path / "damaged")
    weights = bytearray((copy / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(weights)
    with pytest.raises(BundleError, match="checksum"):
        export(copy, tmp_path / "v")


@pytest.mark.slow
def test_a_disk_error_leaves_nothing(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(cw.ClickwiseError, match="the disk is full"):
        export(bundle, tmp_path / "v")
    assert not list(tmp_path.iterdir())
