from __future__ import annotations

import pyarrow as pa
import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import DataError


def read(path, columns=None, **config):
    quarantine = QuarantineFile()
    blocks = list(open_source(str(path), DataConfig(**config)).blocks(columns, quarantine))
    rows = [row for block in blocks for row in block.data.to_pylist()]
    return rows, [n for block in blocks for n in block.row.tolist()], quarantine


@pytest.mark.parametrize("ending", ["libsvm", "libfm", "txt"])
def test_libsvm_and_libfm(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("+1 3:0.5 70000:1 # a comment\n\n# only a comment\n-1\n0 4:-2e-1\n")
    assert open_source(path).columns() == {
        "label": pa.string(),
        "features": pa.list_(pa.string()),
        "values": pa.list_(pa.float32()),
    }
    rows, numbers, quarantine = read(path)
    assert numbers == [1, 2, 3] and quarantine.count == 0
    assert [(r["label"], r["features"]) for r in rows] == [("1", ["3", "70000"]), ("-1", []), ("0", ["4"])]
    assert [r["values"] for r in rows] == [[0.5, 1.0], [], [pytest.approx(-0.2)]]


def test_bad_tokens_are_quarantined_with_their_reason(tmp_path):
    path = tmp_path / "a.libsvm"
    path.write_bytes(b"1 1:1\n1 2\n0 3:x\n5:1 6:1\n1 :2\n0 7:1:1\n1 8:1 \xff:1\n0 9:2\n")
    rows, numbers, quarantine = read(path)
    assert numbers == [1, 8] and [r["features"] for r in rows] == [["1"], ["9"]]
    quarantine_rows = {b["row"]: (b["value"], b["reason"], b["text"]) for b in quarantine.first}
    assert quarantine_rows[2] == ("2", "is not index:value", "1 2")
    assert quarantine_rows[3] == ("3:x", "has a value that is not a number", "0 3:x")
    assert quarantine_rows[4] == ("5:1", "is not a number, where the label should be", "5:1 6:1")
    assert quarantine_rows[5][:2] == (":2", "is not index:value")
    assert quarantine_rows[6][:2] == ("7:1:1", "is not index:value")
    assert quarantine.count == 6


def test_query_ids_are_a_column(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1 qid:7 1:1 2:2\n0 qid:8 3:3\n0 4:4\n1 qid:9\n")
    rows, numbers, quarantine = read(path)
    assert [(r["qid"], r["features"]) for r in rows] == [("7", ["1", "2"]), ("8", ["3"]), ("9", [])]
    assert numbers == [1, 2, 4]
    assert quarantine.first[0]["column"] == "qid" and quarantine.first[0]["row"] == 3


@pytest.mark.parametrize("ending", ["libffm", "txt"])
def test_libffm_has_two_columns_a_field(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("1 0:12:1 1:7:0.5 10:3:1\n0 1:8:1 0:13:1 1:9:2\n0 2:1:1\n")
    rows, numbers, _ = read(path)
    columns = ["label"] + [c for f in (0, 1, 2, 10) for c in (f"f{f}", f"f{f}_values")]
    assert list(rows[0]) == columns and numbers == [1, 2, 3]
    assert [r["f0"] for r in rows] == [["12"], ["13"], []]
    assert [r["f1"] for r in rows] == [["7"], ["8", "9"], []]
    assert [r["f1_values"] for r in rows] == [[0.5], [1.0, 2.0], []]
    assert [r["f10"] for r in rows] == [["3"], [], []]
    assert read(path, ["f1_values", "label"])[0][0] == {"f1_values": [0.5], "label": "1"}


def test_a_field_that_shows_up_too_late_is_bad(tmp_path):
    path = tmp_path / "a.ffm"
    path.write_text("1 0:1:1 1:2:1\n" * 10_000 + "0 0:1:1 5:2:1\n1 0:3:1\n")
    rows, numbers, quarantine = read(path)
    assert len(rows) == 10_001 and numbers[-1] == 10_002
    (bad,) = quarantine.first
    assert (bad["row"], bad["value"], bad["text"]) == (10_001, "5", "0 0:1:1 5:2:1")
    path.write_text("1 0:1:1 1:2:1\n" * 9_999 + "0 0:1:1 5:2:1\n1 0:3:1\n")
    assert "f5" in open_source(path).columns()


def test_blocks_are_bounded_and_numbered_across_reads(tmp_path, monkeypatch):
    monkeypatch.setattr("clickwise.data.readers.sparse_lines._BLOCK_BYTES", 1000)
    path = tmp_path / "a.libsvm"
    path.write_text("".join(f"{i % 2} {i}:1 é{i}:2\n" for i in range(1, 2001)) + "1 last:1")
    blocks = list(open_source(str(path), DataConfig(batch_rows=16)).blocks())
    assert max(map(len, blocks)) <= 16
    assert [n for b in blocks for n in b.row.tolist()] == list(range(1, 2002))
    features = [row["features"] for b in blocks for row in b.data.to_pylist()]
    assert features == [[str(i), f"é{i}"] for i in range(1, 2001)] + [["last"]]


def test_an_empty_file_is_an_error(tmp_path):
    path = tmp_path / "a.libsvm"
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="the file is empty"):
        read(path)
    (tmp_path / "b.ffm").write_text("1\n0\n")
    with pytest.raises(DataError, match="no field:index:value"):
        read(tmp_path / "b.ffm")
