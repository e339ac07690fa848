"""A saved bundle scores raw rows as the model in memory did, and a broken one is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors
import safetensors.numpy

import clickwise as cw
from clickwise import sealed
from clickwise.bundle import Bundle, Provenance, load
from clickwise.bundle.files import MANIFEST, seal
from clickwise.errors import BundleError, DataError

MODEL = {"model": {"name": "deepfm", "embedding_dim": 4, "hidden_dims": [8]}, "training": {"epochs": 1}}


@pytest.fixture(scope="module")
def trained(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    out = tmp_path_factory.mktemp("runs") / "bundle"
    return cw.train(small_log, label="click", config=MODEL, out=out), out


@pytest.fixture
def copy(trained: tuple[Bundle, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[1], tmp_path / "copy"))


def reseal(folder: Path) -> None:
    """Right checksums for changed files: what an attacker would do."""
    manifest = json.loads((folder / MANIFEST).read_text())
    seal(folder, {k: v for k, v in manifest.items() if k not in ("format", "format_version", "files")})


def test_the_saved_bundle_gives_the_same_logits(trained: tuple[Bundle, Path], small_log: Path) -> None:
    rows = pq.read_table(small_log)
    before, after = trained[0].logits(rows), load(trained[1]).logits(rows)
    assert before.std() > 0.001
    np.testing.assert_array_equal(before, after)


def test_one_row_is_scored_as_in_a_batch(trained: tuple[Bundle, Path], small_log: Path) -> None:
    bundle = load(trained[1])
    rows = pq.read_table(small_log).slice(0, 50)
    together = bundle.logits(rows)
    alone = np.concatenate([bundle.logits([row]) for row in rows.to_pylist()])
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_probabilities_are_the_sigmoid_of_the_logits(trained: tuple[Bundle, Path], small_log: Path) -> None:
    rows = pq.read_table(small_log).slice(0, 50)
    p, z = trained[0].predict(rows), trained[0].logits(rows).astype(np.float64)
    np.testing.assert_allclose(np.log(p / (1 - p)), z, rtol=1e-9)


def test_text_and_typed_rows_score_the_same(trained: tuple[Bundle, Path], small_log: Path) -> None:
    """A CSV or JSON client sends text where Parquet has numbers; the probability must not notice."""
    rows = pq.read_table(small_log).slice(0, 50).drop_columns(["interests"])
    text = pa.table({name: rows[name].cast(pa.string()) for name in rows.column_names})
    interests = pq.read_table(small_log).slice(0, 50)["interests"]
    np.testing.assert_array_equal(
        trained[0].logits(rows.append_column("interests", interests)),
        trained[0].logits(text.append_column("interests", interests)),
    )


def test_unseen_and_missing_values_are_scored(trained: tuple[Bundle, Path]) -> None:
    row = dict.fromkeys(trained[0].schema.columns())
    assert 0 < trained[0].predict([row])[0] < 1
    assert 0 < trained[0].predict([{**row, "user_id": "never seen", "bid_floor": float("nan")}])[0] < 1


def test_mistakes_in_rows_are_named(trained: tuple[Bundle, Path]) -> None:
    row = dict.fromkeys(trained[0].schema.columns())
    with pytest.raises(DataError, match=r"row 2, column 'bid_floor', value 'cheap'"):
        trained[0].predict([{**row, "bid_floor": "1.5"}, {**row, "bid_floor": "cheap"}])
    with pytest.raises(DataError, match="user_id"):
        trained[0].predict([{k: v for k, v in row.items() if k != "user_id"}])
    for one in ({**row, "user_id": "u1"}, {"user_id": "u1"}):
        with pytest.raises(DataError, match=r"a list of values; a single row is given in a list: \[row\]"):
            trained[0].predict(one)
    with pytest.raises(DataError, match="columns are not in the rows") as told:
        trained[0].predict([{"user_id": "u1"}])
    assert [name for name in row if repr(name) not in str(told.value)] == ["user_id"], "all that are missing are named"


def test_it_is_shown_in_a_line(trained: tuple[Bundle, Path], tmp_path: Path) -> None:
    made, out = trained
    rows, auc = made.provenance.training["rows"], made.provenance.metrics["valid"]["roc_auc"]
    assert repr(made) == repr(load(out)) == f"<Bundle: DeepFM, trained on {rows:,} rows, valid AUC {auc:.4f}, in {out}>"
    assert repr(Bundle(made.pipeline, made.model, Provenance())) == "<Bundle: DeepFM>"


def test_every_file_is_readable_by_others(trained: tuple[Bundle, Path]) -> None:
    modes = {oct(p.stat().st_mode & 0o044) for p in trained[1].rglob("*")}
    assert modes == {oct(0o044)}


def test_it_replaces_a_bundle_but_nothing_else(trained: tuple[Bundle, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    with pytest.raises(BundleError, match="is not a clickwise bundle"):
        trained[0].save(tmp_path / "mine")
    trained[0].save(tmp_path / "new")
    trained[0].save(tmp_path / "new")
    assert load(tmp_path / "new").model_name == "deepfm"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "new"]


def change_weights(folder: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = folder / "weights.safetensors"
    tensors = safetensors.numpy.load_file(path)
    change(tensors)
    safetensors.numpy.save_file(tensors, path)
    reseal(folder)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs the memory map of the process")
def test_weights_are_mapped_and_not_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = sealed.sha256_of
    monkeypatch.setattr(sealed, "sha256_of", lambda path: hashed.append(path.name) or real(path))
    bundle = load(copy)
    assert "pipeline.json" in hashed
    assert "weights.safetensors" not in hashed
    regions = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(copy) in line]
    spans = [tuple(int(end, 16) for end in r[0].split("-")) for r in regions if r[-1].endswith(".safetensors")]
    for name, weight in bundle.model.state_dict().items():
        assert any(begin <= weight.data_ptr() < end for begin, end in spans), f"{name} is a copy"


def test_opening_does_not_load_a_compiler(copy: Path) -> None:
    code = f"import sys, clickwise as cw; cw.load({str(copy)!r}); sys.exit('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "torch._dynamo was imported"


def test_writing_to_opened_weights_leaves_the_file_as_it_is(copy: Path) -> None:
    bundle = load(copy)
    for weight in bundle.model.state_dict().values():
        weight.zero_()
    cw.inspect(copy)


def test_inspect_finds_what_opening_does_not_look_for(copy: Path) -> None:
    weights = bytearray((copy / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(weights)
    load(copy)
    with pytest.raises(BundleError, match=r"weights\.safetensors: its checksum differs"):
        cw.inspect(copy)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_give_no_number_are_refused_where_they_score(copy: Path, small_log: Path, value: float) -> None:
    path = copy / "weights.safetensors"
    tensors = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file({name: np.full_like(tensor, value) for name, tensor in tensors.items()}, path)
    reseal(copy)
    rows, out = pq.read_table(small_log).slice(0, 50), copy.parent / "scored.parquet"
    told = rf"for 50 of 50 rows.*`clickwise inspect {copy}`"
    with pytest.raises(BundleError, match=told):
        load(copy).predict(rows)
    with pytest.raises(BundleError, match=told):
        cw.predict(copy, rows, out)
    with pytest.raises(BundleError, match=told):
        cw.evaluate(copy, rows)
    assert not out.exists()


def test_weights_must_fit_the_model(copy: Path) -> None:
    name = "embedding.table.weight"
    change_weights(copy, lambda t: t.update({name: t[name][:-1].copy()}))
    with pytest.raises(BundleError, match=f"tensor '{name}' has shape"):
        load(copy)


def test_weights_must_have_the_right_type(copy: Path) -> None:
    name = "embedding.table.weight"
    change_weights(copy, lambda t: t.update({name: t[name].astype(np.float64)}))
    with pytest.raises(BundleError, match="float64"):
        load(copy)


def test_no_tensor_may_be_missing_or_added(copy: Path) -> None:
    change_weights(copy, lambda t: t.update({"extra": np.zeros(1, np.float32)}))
    with pytest.raises(BundleError, match="extra"):
        load(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "gone", "config": {}}, "unknown model 'gone'"),
        ({"name": "deepfm", "config": {"embedding_dim": -1}}, "embedding_dim"),
        ({"name": "deepfm", "config": {"layers": 3}}, "unknown key"),
        (None, "names no model"),
    ],
)
def test_the_manifest_is_not_trusted(copy: Path, change: dict | None, words: str) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    seal(
        copy, {**{k: v for k, v in manifest.items() if k not in ("format", "format_version", "files")}, "model": change}
    )
    with pytest.raises(BundleError, match=words):
        load(copy)


def test_features_of_another_model_are_refused(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["inputs"]["fields"][0]["num_ids"] += 1
    seal(copy, {k: v for k, v in manifest.items() if k not in ("format", "format_version", "files")})
    with pytest.raises(BundleError, match="do not belong"):
        load(copy)


def test_weights_that_are_not_safetensors_are_refused(copy: Path) -> None:
    (copy / "weights.safetensors").write_bytes(b"\x80\x04pickle")
    reseal(copy)
    with pytest.raises(BundleError, match="cannot be read"):
        load(copy)


def test_a_full_disk_is_one_line_and_leaves_the_old_bundle(
    trained: tuple[Bundle, Path], copy: Path, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    def full(*_: object) -> None:
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(DataError, match="the disk is full"):
        trained[0].save(copy)
    assert load(copy).model_name == "deepfm"
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


def test_scoring_is_never_in_training_mode(small_log: Path) -> None:
    model = {"name": "dnn", "embedding_dim": 4, "hidden_dims": [8], "dropout": 0.5}
    bundle = cw.train(small_log, label="click", config={"model": model, "training": {"epochs": 1}})
    rows = pq.read_table(small_log).slice(0, 100)
    before = bundle.logits(rows)
    bundle.model.train()
    np.testing.assert_array_equal(bundle.logits(rows), before)
