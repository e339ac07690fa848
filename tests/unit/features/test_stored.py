from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import BundleError
from clickwise.features import FeaturePipeline, Quantile, Vocabulary
from clickwise.schema import Feature, Schema

SCHEMA = Schema(
    label="y",
    features=(
        Feature(name="a", column="a", config=Vocabulary.Config()),
        Feature(name="x", column="x", config=Quantile.Config(num_quantiles=3)),
        Feature(name="b", column="b", config=Vocabulary.Config()),
    ),
)
DATA = pa.RecordBatch.from_pydict({"a": ["p", "q", "p"], "b": ["é", "ü", None], "x": [1.0, 2.0, 3.0]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fit = FeaturePipeline.fitting(SCHEMA, {f.name: f.type for f in DATA.schema})
    fit.update(DATA)
    assert fit.finish().save(tmp_path / "features") == ["pipeline.json", "000.arrow", "001.arrow"]
    return tmp_path / "features"


def test_files_are_plain_and_tables_are_mapped(folder: Path) -> None:
    data = json.loads((folder / "pipeline.json").read_text(encoding="utf-8"))
    assert data["features_version"] == 1
    assert list(data["states"]) == ["a", "x", "b"]
    assert data["states"]["x"] == {"values": {"cuts": [2.0, 3.0]}}
    assert data["states"]["b"]["table"] == "001.arrow"
    before = pa.total_allocated_bytes()
    pipeline = FeaturePipeline.load(folder)
    assert pa.total_allocated_bytes() == before
    assert pipeline.encode(DATA).sparse.tolist() == [[3, 7], [4, 8], [3, 5]]


def _json(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "pipeline.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(json.dumps(data), encoding="utf-8")

    return apply


def _truncate(folder: Path) -> None:
    table = folder / "000.arrow"
    table.write_bytes(table.read_bytes()[:-40])


def _no_text(folder: Path) -> None:
    path = folder / "000.arrow"
    table = pa.ipc.open_file(path).read_all()
    bytes_marked_as_text = pa.Array.from_buffers(
        pa.large_string(), 2, pa.array([b"a", b"\xff"], pa.large_binary()).buffers()
    )
    path.unlink()
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table.set_column(0, "token", bytes_marked_as_text))


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda f: (f / "pipeline.json").unlink(), "no such file"),
    "no JSON": (lambda f: (f / "pipeline.json").write_text("{"), "is not JSON"),
    "no text": (lambda f: (f / "pipeline.json").write_bytes(b"\xff"), "is not JSON"),
    "deep JSON": (lambda f: (f / "pipeline.json").write_text("[" * 100_000), "is not JSON"),
    "no object": (lambda f: (f / "pipeline.json").write_text("[]"), "features_version is None"),
    "other version": (_json(lambda d: d.update(features_version=2)), "features_version is 2, this clickwise reads 1"),
    "unknown transform": (_json(lambda d: d["schema"]["features"]["a"].update(transform="x")), "unknown transform 'x'"),
    "bad config": (_json(lambda d: d["schema"]["features"]["a"].update(min_count=0)), "min_count"),
    "no features": (_json(lambda d: (d["schema"].pop("features"), d.update(states={}))), "states"),
    "no schema": (_json(lambda d: d.pop("schema")), "label"),
    "states of others": (_json(lambda d: d["states"].pop("x")), "states do not belong"),
    "no values": (_json(lambda d: d["states"].update(x=3)), "feature 'x' has no values"),
    "bad values": (_json(lambda d: d["states"]["x"]["values"].update(cuts=[3.0, 1.0])), "feature 'x': cuts"),
    "table elsewhere": (_json(lambda d: d["states"]["a"].update(table="../000.arrow")), "not the name of an Arrow"),
    "table not text": (_json(lambda d: d["states"]["a"].update(table=3)), "not the name of an Arrow"),
    "no table": (lambda f: (f / "000.arrow").unlink(), "000.arrow: no such file"),
    "cut table": (_truncate, "000.arrow: is damaged"),
    "token that is no text": (_no_text, "000.arrow: is damaged"),
    "empty table": (lambda f: (f / "000.arrow").write_bytes(b""), "000.arrow: is damaged"),
}


@pytest.mark.parametrize("what", list(BREAKS))
def test_whatever_is_broken_is_refused_in_one_line(folder: Path, what: str) -> None:
    FeaturePipeline.load(folder)
    breakage, message = BREAKS[what]
    breakage(folder)
    with pytest.raises(BundleError) as caught:
        FeaturePipeline.load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_changed_byte_of_a_table_is_refused_or_harmless(folder: Path) -> None:
    table = folder / "000.arrow"
    intact = table.read_bytes()
    for position in range(0, len(intact), 5):
        table.write_bytes(intact[:position] + bytes([intact[position] ^ 0xFF]) + intact[position + 1 :])
        try:
            pipeline = FeaturePipeline.load(folder)
        except BundleError:
            continue
        rows = pipeline.encode(DATA).sparse
        assert ((rows >= 0) & (rows < pipeline.inputs.num_rows)).all()
        assert rows.dtype == np.int32
