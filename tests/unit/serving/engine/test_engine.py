"""The engine answers as training code does, and refuses what it cannot trust."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import clickwise as cw
from clickwise.errors import BundleError, RequestError
from clickwise.sealed import MANIFEST
from clickwise.serving import version
from clickwise.serving.engine import Engine
from clickwise.serving.engine.encoder import EncodedRequest

pytestmark = pytest.mark.slow

USER = ("user_id", "user_age", "user_segment", "interests", "history", "timestamp")
EACH = 50


def body_of(rows: list[dict[str, Any]], user: tuple[str, ...] = USER) -> bytes:
    """A request of rows that are one user's."""
    first = {name: value for name, value in rows[0].items() if name in user}
    candidates = [{name: value for name, value in row.items() if name not in user} for row in rows]
    return json.dumps({"user": first, "candidates": candidates}, default=datetime.isoformat).encode()


def one_user(rows: pa.Table, start: int) -> list[dict[str, Any]]:
    """Some rows, given the user of the first."""
    found = rows.slice(start, EACH).to_pylist()
    return [{**row, **{name: found[0][name] for name in USER}} for row in found]


def test_online_is_offline(served: Any) -> None:
    """Thousands of rows as requests of users and candidates, and all as columns: the logits of training code."""
    bundle, engine = cw.load(served.bundle), Engine.open(served.version)
    asked: list[EncodedRequest] = []
    encode = engine._encoder.request
    engine._encoder.request = lambda *told: asked.append(encode(*told)) or asked[-1]  # type: ignore[method-assign]
    for start in range(0, 3000, EACH):
        rows = one_user(served.rows, start)
        scores = engine.score_json(body_of(rows), max_candidates=EACH)
        expected = pa.Table.from_pylist(rows, served.rows.schema)
        np.testing.assert_allclose(scores.logits, bundle.logits(expected), atol=1e-5, rtol=1e-5)
        offline = bundle.pipeline.encode(expected.select(bundle.pipeline.columns).combine_chunks().to_batches()[0])
        for mine, theirs in zip(asked.pop().encoded, offline, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert set(scores.ignored) >= {"click", "device_type"}
    scores = engine.score_rows(served.rows.combine_chunks().to_batches()[0])
    np.testing.assert_allclose(scores.logits, bundle.logits(served.rows), atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(scores.probabilities, bundle.predict(served.rows), atol=1e-6)
    assert scores.logits.std() > 0.05


def test_golden_requests_say_that_the_version_is_well(served: Any) -> None:
    engine = Engine.open(served.version)
    engine.check()
    engine.warm_up()
    entries = json.loads((served.version / version.GOLDEN).read_text(encoding="utf-8"))
    requests = [entry["request"] for entry in entries]
    assert len(requests) == 20
    assert len({z for entry in entries for z in entry["logits"]}) > 40
    cells = [value for r in requests for side in (r["user"], *r["candidates"]) for value in side.values()]
    assert None in cells
    assert any(isinstance(cell, str) and cell.startswith("unseen") for cell in cells)
    known = set(served.rows["ad_id"].to_pylist())
    assert known & {cell for cell in cells if isinstance(cell, str)}


def test_what_an_engine_says_of_itself(served: Any) -> None:
    engine = Engine.open(served.version)
    bundle = cw.load(served.bundle)
    assert engine.columns == bundle.pipeline.columns
    assert engine.kinds["interests"] == engine.kinds["history"] == "list"
    assert (engine.kinds["user_id"], engine.kinds["user_age"], engine.kinds["timestamp"]) == ("text", "number", "time")
    assert engine.card["model"]["name"] == bundle.model_name
    assert engine.card["metrics"] == bundle.provenance.metrics
    assert engine.card["precision"] == engine.precision == "fp32"
    assert ("calibrator" in engine.card) == (bundle.calibrator is not None)
    assert len(engine.version) == 12
    json.dumps(dict(engine.card))


def test_columns_given_nowhere_are_missing(served: Any) -> None:
    bundle, engine = cw.load(served.bundle), Engine.open(served.version)
    rows = [dict.fromkeys(bundle.pipeline.columns) | {"ad_id": ad} for ad in ("a", "b")]
    found = engine.score_json(b'{"candidates": [{"ad_id": "a"}, {"ad_id": "b"}]}', max_candidates=2)
    np.testing.assert_allclose(found.logits, bundle.logits(rows), atol=1e-5)
    found = engine.score_rows(pa.RecordBatch.from_pydict({"ad_id": ["a", "b"], "other": [1, 2]}))
    np.testing.assert_allclose(found.logits, bundle.logits(rows), atol=1e-5)
    assert found.ignored == ("other",)


def test_no_candidates_no_scores(served: Any) -> None:
    engine = Engine.open(served.version)
    assert engine.score_json(b'{"candidates": []}', max_candidates=1).logits.shape == (0,)
    assert engine.score_rows(pa.RecordBatch.from_pydict({"ad_id": pa.array([], pa.string())})).logits.shape == (0,)


def test_rows_that_cannot_be_read_are_named(served: Any) -> None:
    engine = Engine.open(served.version)
    with pytest.raises(RequestError, match="candidate 2, column 'user_age', value 'old': is not a number"):
        engine.score_rows(pa.RecordBatch.from_pydict({"user_age": ["1", "old"]}))
    with pytest.raises(RequestError, match=r"candidate 1, column 'user_id'.*UTF-8"):
        engine.score_rows(pa.RecordBatch.from_pydict({"user_id": [b"\xff"]}))
    with pytest.raises(RequestError, match="none of the model's columns"):
        engine.score_rows(pa.RecordBatch.from_pydict({"other": [1]}))
    with pytest.raises(RequestError, match="two columns of one name"):
        columns = [pa.array(["a"]), pa.array(["b"])]
        engine.score_rows(pa.RecordBatch.from_arrays(columns, names=["ad_id", "ad_id"]))


def test_several_threads_get_what_one_gets(served: Any) -> None:
    engine = Engine.open(served.version)
    bodies = [body_of(one_user(served.rows, start)) for start in range(0, 1000, EACH)]
    alone = [engine.score_json(body, max_candidates=EACH).logits for body in bodies]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            together = pool.map(lambda body: engine.score_json(body, max_candidates=EACH).logits, bodies)
            assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_no_torch_is_needed(served: Any) -> None:
    code = (
        "import sys; from clickwise.serving.engine import Engine; e = Engine.open(sys.argv[1]); e.check(); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(served.version)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(served: Any, tmp_path: Path) -> Path:
    shutil.copytree(served.version, tmp_path / "copy")
    return tmp_path / "copy"


def test_damage_in_any_file_is_refused(copy: Path) -> None:
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for damaged in (
            whole[:-1],
            whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :],
        ):
            path.write_bytes(damaged)
            with pytest.raises(BundleError):
                Engine.open(copy).check()
        path.unlink()
        with pytest.raises(BundleError):
            Engine.open(copy)
        path.write_bytes(whole)
    Engine.open(copy).check()


def test_versions_share_the_features_that_they_have_in_common(copy: Path, served: Any) -> None:
    """And each is checked as if it shared nothing."""
    first, second = Engine.open(served.version), Engine.open(copy)
    second.check()
    assert second._encoder._pipeline is first._encoder._pipeline
    file = next(path for path in sorted((copy / version.FEATURES).iterdir()) if path.suffix == ".arrow")
    whole = file.read_bytes()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(BundleError, match="checksum differs"):
        Engine.open(copy)


def reseal(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for key in ("format", "format_version", "files"):
        del manifest[key]
    version.VERSION.write(folder, {**manifest, **changes})


def test_a_version_whose_parts_do_not_belong_together_is_refused(copy: Path) -> None:
    """Sealed as it should be, and wrong: another table, other vectors, answers that are not those of training."""
    manifest = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    graph = manifest["graph"]
    file = copy / graph["vectors"][-1]["table"]
    table = np.load(file)
    for wrong, says in [(table[:-1], "does not fit"), (table.astype(np.float64), "does not fit")]:
        np.save(file, wrong)
        reseal(copy)
        with pytest.raises(BundleError, match=says):
            Engine.open(copy)
    for wrong in (np.roll(table, 1, axis=0), np.full_like(table, np.nan)):
        np.save(file, wrong)
        reseal(copy)
        with pytest.raises(BundleError, match="golden request"):
            Engine.open(copy).check()
    np.save(file, table)
    reseal(copy, graph={"vectors": [{**graph["vectors"][0], "name": "else"}]})
    with pytest.raises(BundleError, match=r"graph.onnx: is no graph"):
        Engine.open(copy)
    for vectors in (None, [{}], [{**graph["vectors"][0], "starts": [0, 99]}]):
        reseal(copy, graph={**graph, "vectors": vectors})
        with pytest.raises(BundleError):
            Engine.open(copy)
    reseal(copy, graph=graph)
    (copy / version.GRAPH).write_bytes(b"graph")
    reseal(copy)
    with pytest.raises(BundleError, match="ONNX Runtime cannot use it"):
        Engine.open(copy)


def test_layers_that_do_not_belong_to_the_vectors_are_refused(copy: Path) -> None:
    graph = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))["graph"]
    if not graph["towers"]:
        pytest.skip("this model's layers are all in its graph")
    tower = graph["towers"][0]
    for wrong in ({"vectors": "else"}, {"layers": tower["layers"][1:]}, {"layers": []}, {"layers": [{"relu": 1}]}):
        reseal(copy, graph={**graph, "towers": [{**tower, **wrong}]})
        with pytest.raises(BundleError):
            Engine.open(copy)
    reseal(copy, graph=graph)
    file = copy / tower["layers"][0]["weight"]
    weight = np.load(file)
    for array, says in ((weight[:, 1:], "do not fit"), (weight.astype(np.float64), "no array of a tower")):
        np.save(file, array)
        reseal(copy)
        with pytest.raises(BundleError, match=says):
            Engine.open(copy)
    np.save(file, -weight)
    reseal(copy)
    with pytest.raises(BundleError, match="golden request"):
        Engine.open(copy).check()


def test_another_format_version_is_refused(copy: Path) -> None:
    with pytest.raises(BundleError, match="no such version; `clickwise export BUNDLE --out"):
        Engine.open(copy / "nowhere")
    with pytest.raises(BundleError, match="is not the manifest of a clickwise version"):
        Engine.open(_bundle_of(copy))


def _bundle_of(copy: Path) -> Path:
    manifest = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    version.Seal(format="other", version=1, noun="x", command="x", again="x").write(copy, {"graph": manifest["graph"]})
    return copy
