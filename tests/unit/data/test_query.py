from __future__ import annotations

import os
import sys

import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.errors import DataError, MissingExtraError

duckdb = pytest.importorskip("duckdb")


def test_a_query_is_a_stream_in_the_order_of_insertion(tmp_path):
    (tmp_path / "a.csv").write_text("user,click\n" + "".join(f"u{i},{i % 2}\n" for i in range(5000)))
    sql = f"duckdb:SELECT click, user, click + 1.5 AS more FROM '{tmp_path}/a.csv' WHERE click = 1"
    source = open_source(sql, DataConfig(batch_rows=100, cache_dir=str(tmp_path / "spill")))
    assert list(source.columns()) == ["click", "user", "more"] and str(source.columns()["more"]) == "double"
    blocks = list(source.blocks(["user"]))
    assert max(map(len, blocks)) <= 100
    assert [u for b in blocks for u in b.data["user"].to_pylist()] == [f"u{i}" for i in range(1, 5000, 2)]
    assert [n for b in blocks for n in b.row.tolist()] == list(range(1, 2501))
    assert source.fingerprint() is None and source.num_rows() == 2500


def test_every_pass_sees_the_same_rows(tmp_path):
    source = open_source("duckdb:SELECT random() AS r FROM range(50)", DataConfig(cache_dir=str(tmp_path)))
    first, second = ([b.data.to_pydict() for b in source.blocks()] for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT * FROM 'gone.csv'",
        "SELECT nope FROM range(3)",
        "SELECT 'x'::INT + i FROM range(3) t(i)",
        "CREATE TABLE t(i INT)",
        "",
    ],
)
def test_a_mistake_in_a_query_is_one_line_and_leaves_nothing(tmp_path, sql):
    with pytest.raises(DataError) as caught:
        open_source(f"duckdb:{sql}", DataConfig(cache_dir=str(tmp_path)))
    assert "\n" not in str(caught.value) and str(caught.value).startswith("duckdb:")
    assert os.listdir(tmp_path) == []


def test_a_name_in_a_query_is_never_a_variable_of_the_program():
    with pytest.raises(DataError, match="Table with name settings does not exist"):
        open_source("duckdb:SELECT * FROM settings")


def test_a_relation_of_duckdb_is_a_stream(tmp_path):
    with duckdb.connect() as connection:
        source = open_source(connection.sql("SELECT * FROM range(10) t(i)"), DataConfig(cache_dir=str(tmp_path)))
    assert [v for b in source.blocks() for v in b.data["i"].to_pylist()] == list(range(10))


def test_without_duckdb_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clickwise\[duckdb\]'"):
        open_source("duckdb:SELECT 1")
