from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.errors import DataError


def rows(source, columns=None):
    return [row for block in source.blocks(columns) for row in block.data.to_pylist()]


def three_files(folder):
    for i in range(3):
        (folder / f"part-{i}.csv").write_text(f"a,b\n{i},x\n{i},y\n" if i < 2 else f"b,a\nz,{i}\n")
    return folder


def test_folder_pattern_and_list_give_the_files_in_order(tmp_path):
    folder = three_files(tmp_path / "logs" if (tmp_path / "logs").mkdir() is None else tmp_path)
    (folder / "_SUCCESS").write_text("")
    (folder / ".hidden.csv").write_text("no")
    (folder / "README.md").write_text("no")
    expected = [{"a": a, "b": b} for a, b in (("0", "x"), ("0", "y"), ("1", "x"), ("1", "y"), ("2", "z"))]
    paths = [str(folder / f"part-{i}.csv") for i in range(3)]
    for data in (folder, str(folder), f"{folder}/*.csv", f"{tmp_path}/**/*.csv", paths, [folder]):
        source = open_source(data)
        assert rows(source) == expected
    blocks = list(source.blocks())
    assert [(b.file_index, b.row.tolist()) for b in blocks] == [(0, [1, 2]), (1, [1, 2]), (2, [1])]
    assert [b.file for b in blocks] == paths
    assert rows(open_source(paths[::-1]))[0] == {"b": "z", "a": "2"}


def test_files_must_fit_each_other(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"b\.csv, column 'b': the column is missing; all files must have"):
        open_source(tmp_path)
    (tmp_path / "b.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(DataError, match=r"b\.csv, column 'c': the column is not in the first file"):
        open_source(tmp_path)
    (tmp_path / "b.csv").unlink()
    (tmp_path / "c.parquet").write_text("")
    with pytest.raises(DataError, match=r"several formats: a\.csv \(csv\) and c\.parquet"):
        open_source(tmp_path)


def test_types_of_several_files_are_widened(tmp_path):
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": pa.nulls(1)}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": pa.array([2**40], pa.int64()), "b": ["x"]}), tmp_path / "2.parquet")
    source = open_source(tmp_path)
    assert source.columns() == {"a": pa.int64(), "b": pa.string()}
    assert rows(source) == [{"a": 1, "b": None}, {"a": 2**40, "b": "x"}]
    pq.write_table(pa.table({"a": ["text"], "b": ["x"]}), tmp_path / "3.parquet")
    with pytest.raises(DataError, match=r"3.parquet, column 'a': has type string, but int64 in .*1.parquet"):
        open_source(tmp_path)


def test_partition_folders_are_columns(tmp_path):
    table = pa.table({"day": ["3", "3", "4", None], "hour": ["07", "08", "07", "07"], "x": [1, 2, 3, 4]})
    part = ds.partitioning(pa.schema([("day", pa.string()), ("hour", pa.string())]), flavor="hive")
    ds.write_dataset(table, tmp_path / "log", format="parquet", partitioning=part)
    source = open_source(tmp_path / "log")
    assert source.columns() == {"x": pa.int64(), "day": pa.string(), "hour": pa.string()}
    assert sorted(rows(source), key=lambda r: r["x"]) == [{**r, "x": r["x"]} for r in table.to_pylist()]
    assert [list(row) for row in rows(source, ["hour"])] == [["hour"]] * 4
    assert rows(open_source(f"{tmp_path}/log/day=3/*/*.parquet"), ["day", "hour"]) == [
        {"day": "3", "hour": "07"},
        {"day": "3", "hour": "08"},
    ]
    other = open_source(tmp_path / "log").fingerprint()
    (tmp_path / "log" / "day=4").rename(tmp_path / "log" / "day=5")
    assert open_source(tmp_path / "log").fingerprint() != other
    (tmp_path / "log" / "stray.parquet").write_bytes(next((tmp_path / "log").rglob("*.parquet")).read_bytes())
    with pytest.raises(DataError, match="stands under partitions"):
        open_source(tmp_path / "log")


def test_a_path_that_is_not_there_says_what_is_near(tmp_path):
    (tmp_path / "clicks.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"clik.csv: no such file or folder \(did you mean '.*clicks.csv'\?\)"):
        open_source(tmp_path / "clik.csv")
    with pytest.raises(DataError, match=r"holds clicks.csv"):
        open_source(str(tmp_path / "zzz" / "other.csv"))
    with pytest.raises(DataError, match="no file matches this pattern"):
        open_source(f"{tmp_path}/*.parquet")
    with pytest.raises(DataError, match="is a URL"):
        open_source("s3://bucket/a.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the folder holds no data files"):
        open_source(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.txt", "u\tclick\n1\t0\n", ["u", "click"]),
        ("a.data", "u;click\n1;0\n", ["u", "click"]),
        ("a.log", "u|click\n1|0\n", ["u", "click"]),
        ("a", "u:token\tx:float\n1\t0\n", ["u", "x"]),
        ("a.tsv", "u:token\tx:float\n1\t0\n", ["u", "x"]),
        ("a.inter", "u\tx\n1\t0\n", ["u", "x"]),
        ("a.dat", "1 5:1 6:2\n", ["label", "features", "values"]),
        ("b.dat", "# hello\n1 0:5:1\n", ["label", "f0", "f0_values"]),
        ("a.txt.gz", "u\tclick\n1\t0\n", ["u", "click"]),
        ("a.csv", "time,u\n10:30:00,1\n", ["time", "u"]),
    ],
)
def test_auto_goes_by_content_where_the_name_says_nothing(tmp_path, name, text, columns):
    data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    (tmp_path / name).write_bytes(data)
    source = open_source(tmp_path / name)
    assert list(source.columns()) == columns
    assert len(rows(source)) == 1


def test_the_format_given_wins(tmp_path):
    (tmp_path / "a.csv").write_text("u\tclick\n1\t0\n")
    assert list(open_source(tmp_path / "a.csv", DataConfig(format="tsv")).columns()) == ["u", "click"]
    (tmp_path / "b.csv").write_text("a,b\n1 2\t3,4\n")
    assert rows(open_source(tmp_path / "b.csv", DataConfig(format="csv"))) == [{"a": "1 2\t3", "b": "4"}]
