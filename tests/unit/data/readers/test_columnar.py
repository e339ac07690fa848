from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import DataError

TABLE = pa.table(
    {
        "user.id": pa.array([f"u{i % 7}" for i in range(1000)]).dictionary_encode(),
        "user": pa.array(range(1000), pa.int32()),
        "cost": pa.array([None if i % 10 == 0 else i / 4 for i in range(1000)]),
        "tags": pa.array([["a", "b"][: i % 3] for i in range(1000)], pa.large_list(pa.large_string())),
        "big": pa.array([f"x{i}" for i in range(1000)], pa.large_string()),
    }
)


def write(kind, path, table=TABLE):
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=300)
    elif kind == "feather":
        feather.write_feather(table, path, compression="lz4", chunksize=300)
    else:
        new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with pa.OSFile(str(path), "wb") as out, new(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=300)
    return str(path)


@pytest.mark.parametrize("kind", ["parquet", "feather", "file", "stream"])
@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.bin"])
def test_the_table_comes_back_in_plain_types_whatever_the_name(tmp_path, kind, name):
    source = open_source(write(kind, tmp_path / name), DataConfig(batch_rows=128))
    assert source.columns() == {
        "user.id": pa.string(),
        "user": pa.int32(),
        "cost": pa.float64(),
        "tags": pa.list_(pa.string()),
        "big": pa.string(),
    }
    blocks = list(source.blocks())
    assert max(map(len, blocks)) <= 128
    assert [row for b in blocks for row in b.data.to_pylist()] == TABLE.to_pylist()
    assert [n for b in blocks for n in b.row.tolist()] == list(range(1, 1001))
    assert source.num_rows() == (None if kind == "stream" else 1000)


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_only_the_columns_asked_for(tmp_path, kind):
    path = write(kind, tmp_path / "a")
    for columns in (["user"], ["user.id"], ["cost", "user.id"]):
        block = next(open_source(path).blocks(columns))
        assert block.data.schema.names == columns
        assert block.data.slice(1, 1).to_pylist() == [{c: TABLE[c][1].as_py() for c in columns}]


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_text_that_is_not_utf8_is_quarantined(tmp_path, kind):
    raw = pa.array([b"ok", b"caf\xe9", None, b"\xc3\xa9", b"\xff"], pa.binary())
    lying = pa.Array.from_buffers(pa.string(), 5, pa.array([b"a", b"b", b"\xfe", b"d", b"e"]).buffers())
    table = pa.table({"raw": raw, "lying": lying})
    quarantine = QuarantineFile()
    (block,) = open_source(write(kind, tmp_path / "a", table)).blocks(None, quarantine)
    assert block.data.to_pylist() == [{"raw": "ok", "lying": "a"}, {"raw": "é", "lying": "d"}]
    assert block.row.tolist() == [1, 4]
    assert [(b["row"], b["column"], b["value"]) for b in quarantine.first] == [
        (2, "raw", "caf\\xe9"),
        (3, "lying", "\\xfe"),
        (5, "raw", "\\xff"),
    ]


@pytest.mark.parametrize(("kind", "magic"), [("parquet", b"PAR1"), ("file", b"ARROW1"), ("stream", b"")])
def test_a_damaged_file_is_one_line(tmp_path, kind, magic):
    path = tmp_path / "a"
    content = Path(write(kind, path)).read_bytes()
    path.write_bytes(content[: len(content) // 2] + (b"" if kind == "stream" else b"garbage" * 10))
    with pytest.raises(DataError, match="cannot be read as") as caught:
        list(open_source(str(path), DataConfig(batch_rows=50)).blocks())
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_no_rows_and_no_bytes_are_errors(tmp_path):
    with pytest.raises(DataError, match="there are no rows"):
        list(open_source(write("parquet", tmp_path / "a.parquet", TABLE.slice(0, 0))).blocks())
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.parquet"):
        open_source(str(tmp_path / "b.parquet"))


def test_a_column_twice_is_an_error(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    for kind in ("parquet", "file"):
        with pytest.raises(DataError, match="column 'a': the column appears twice"):
            open_source(write(kind, tmp_path / kind, table))


def test_text_under_a_parquet_name_is_one_line(tmp_path):
    (tmp_path / "a.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        open_source(str(tmp_path / "a.parquet"))
