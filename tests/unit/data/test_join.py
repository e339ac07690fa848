"""Side tables: what is joined to which row, what is read for it, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clickwise.data.config import DataConfig, SideTable
from clickwise.data.join import JoinedSource
from clickwise.data.open import located, open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import ClickwiseWarning, DataError

USERS = "user_id,age,city\n7,30,Oslo\n8,41,\n9,25,Rome\n"
LOG = {"user_id": [9, 7, None, 12, 7], "price": [1.0, 2.0, 3.0, 4.0, 5.0]}


@pytest.fixture
def users(tmp_path: Path) -> str:
    (tmp_path / "users.csv").write_text(USERS)
    return str(tmp_path / "users.csv")


def joined(*tables: SideTable, log=LOG, **config):
    return open_source(pa.table(log), DataConfig(tables=tables, **config))


def rows(source, columns=None, quarantine=None):
    return [row for block in source.blocks(columns, quarantine) for row in block.data.to_pylist()]


def test_each_row_gets_the_columns_of_its_id_and_nulls_without_one(users):
    source = joined(SideTable(file=users, on="user_id"))
    assert list(source.columns()) == ["user_id", "price", "age", "city"]
    assert [(r["price"], r["age"], r["city"]) for r in rows(source)] == [
        (1.0, "25", "Rome"),
        (2.0, "30", "Oslo"),
        (3.0, None, None),
        (4.0, None, None),
        (5.0, "30", "Oslo"),
    ]
    assert source.num_rows() == source.estimated_rows() == 5


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.large_string()])
@pytest.mark.parametrize("table_kind", [pa.int16(), pa.float64(), pa.string()])
def test_ids_are_compared_by_value_whatever_their_types(tmp_path, kind, table_kind):
    ids = pa.array([3, 120, 4], pa.int64())
    pq.write_table(pa.table({"id": ids.cast(table_kind), "name": ["c", "x", "d"]}), tmp_path / "t.parquet")
    log = {"id": pa.array([4, 5, 3], pa.int64()).cast(kind)}
    if pa.types.is_floating(kind):
        log = {"id": pa.array([4, 5, 3], kind)}
    source = joined(SideTable(file=str(tmp_path / "t.parquet"), on="id"), log=log)
    assert [r["name"] for r in rows(source)] == ["d", None, "c"]


def test_text_ids_of_any_form_and_dictionaries(tmp_path):
    (tmp_path / "t.csv").write_text("id,name\n007,a\n7,b\nx y,c\nÅ,d\n")
    log = {"id": pa.array(["7", "Å", "x y", "007", "", None]).dictionary_encode()}
    source = joined(SideTable(file=str(tmp_path / "t.csv"), on="id"), log=log)
    assert [r["name"] for r in rows(source)] == ["b", "d", "c", "a", None, None]


def test_missing_ids_do_not_meet(tmp_path):
    """A table row without an id is nobody's, however many of them there are."""
    (tmp_path / "t.csv").write_text("id,name\n,a\n,b\n1,c\n")
    source = joined(SideTable(file=str(tmp_path / "t.csv"), on="id"), log={"id": ["", None, "1"]})
    assert [r["name"] for r in rows(source)] == [None, None, "c"]


def test_zeros_of_both_signs_are_one_id(tmp_path):
    pq.write_table(pa.table({"id": [0.0, -0.0, 1.0], "x": [1, 2, 3]}), tmp_path / "t.parquet")
    source = joined(SideTable(file=str(tmp_path / "t.parquet"), on="id"), log={"id": [0, 1]})
    with pytest.raises(DataError, match="1 ids have more than one row, such as '0'"):
        rows(source)


def test_an_id_twice_is_refused_with_its_name(tmp_path):
    (tmp_path / "t.csv").write_text("id,name\na,1\nb,2\na,3\nb,4\nc,5\n")
    source = joined(SideTable(file=str(tmp_path / "t.csv"), on="id"), log={"id": ["a"]})
    with pytest.raises(DataError, match=r"t\.csv, column 'id': 2 ids have more than one row, such as 'a'; keep one"):
        rows(source)


def test_a_key_by_another_name_and_columns_by_other_names(users):
    table = SideTable(file=users, on="buyer", key="user_id", columns={"buyer_city": "city", "same": "city"})
    source = joined(table, log={"buyer": [9, 8], "city": ["here", "there"]})
    assert rows(source) == [
        {"buyer": 9, "city": "here", "buyer_city": "Rome", "same": "Rome"},
        {"buyer": 8, "city": "there", "buyer_city": None, "same": None},
    ]


def test_two_tables_on_one_id_and_one_on_a_column_of_another(users, tmp_path):
    (tmp_path / "cities.csv").write_text("city,country\nOslo,NO\nRome,IT\n")
    (tmp_path / "vip.csv").write_text("user_id,vip\n7,yes\n")
    tables = (
        SideTable(file=users, on="user_id"),
        SideTable(file=str(tmp_path / "cities.csv"), on="city"),
        SideTable(file=str(tmp_path / "vip.csv"), on="user_id"),
    )
    source = joined(*tables)
    assert [(r["country"], r["vip"]) for r in rows(source)][:3] == [("IT", None), ("NO", "yes"), (None, None)]
    assert rows(source, ["country"])[:2] == [{"country": "IT"}, {"country": "NO"}]  # by way of the city
    assert rows(source, ["vip", "price"])[1] == {"vip": "yes", "price": 2.0}
    with pytest.raises(DataError, match=r"no such column.*column 'city'|column 'city': has no such column"):
        joined(tables[1], tables[0]).columns()


def test_only_what_is_asked_for_is_read(users):
    source = joined(SideTable(file=users, on="user_id"))
    os.remove(users)
    assert rows(source, ["price"])[0] == {"price": 1.0}
    with pytest.raises(DataError, match="no such file"):
        rows(source, ["age"])


def test_a_column_that_is_there_already_is_refused(users):
    with pytest.raises(
        DataError, match=r"users\.csv, column 'age': a column of this name is already there, from frame"
    ):
        joined(SideTable(file=users, on="user_id"), log={**LOG, "age": [1] * 5}).columns()
    twice = SideTable(file=users, on="user_id")
    with pytest.raises(DataError, match="or a table before; say what is joined under which name"):
        joined(twice, twice).columns()


def test_columns_that_are_not_there_are_named(users):
    with pytest.raises(DataError, match=r"column 'user': has no such column \(did you mean 'user_id'\?\)"):
        joined(SideTable(file=users, on="user")).columns()
    with pytest.raises(DataError, match=r"users\.csv, column 'id': has no such column"):
        joined(SideTable(file=users, on="user_id", key="id")).columns()
    with pytest.raises(DataError, match=r"users\.csv, column 'agee': has no such column \(did you mean 'age'\?\)"):
        joined(SideTable(file=users, on="user_id", columns={"x": "agee"})).columns()
    with pytest.raises(DataError, match="column 'user_id': holds lists, and rows are joined by one id each"):
        joined(SideTable(file=users, on="user_id"), log={"user_id": [[7], [8]]}).columns()


def test_gathered_rows_are_lists_in_the_order_of_the_table(tmp_path):
    (tmp_path / "past.csv").write_text("user_id,item,price\n8,b,1\n7,c,2\n8,a,3\n,z,0\n8,b,4\n")
    table = SideTable(file=str(tmp_path / "past.csv"), on="user_id", columns={"history": "item"}, gather=True)
    source = joined(table, log={"user_id": [7, 8, 9, None]})
    assert source.columns()["history"] == pa.list_(pa.string())
    assert [r["history"] for r in rows(source)] == [["c"], ["b", "a", "b"], None, None]
    every = joined(SideTable(file=str(tmp_path / "past.csv"), on="user_id", gather=True), log={"user_id": [8]})
    assert rows(every) == [{"user_id": 8, "item": ["b", "a", "b"], "price": ["1", "3", "4"]}]


def test_lists_are_joined_but_not_gathered(tmp_path):
    pq.write_table(pa.table({"id": [1, 2, 3], "tags": [["a", "b"], [], None]}), tmp_path / "t.parquet")
    table = SideTable(file=str(tmp_path / "t.parquet"), on="id")
    assert [r["tags"] for r in rows(joined(table, log={"id": [3, 1, 2, 4]}))] == [None, ["a", "b"], [], None]
    gathering = SideTable(file=str(tmp_path / "t.parquet"), on="id", gather=True)
    with pytest.raises(DataError, match="column 'tags': holds lists, and lists cannot be gathered"):
        joined(gathering, log={"id": [1]}).columns()


def test_a_table_is_read_as_it_says_and_not_as_the_log(tmp_path):
    (tmp_path / "log.csv").write_text("1;2\n3;4\n")
    (tmp_path / "u.user").write_text("1|24|M\n3|53|F\n")
    table = SideTable(
        file=str(tmp_path / "u.user"), on="u", format="csv", header=False, names=("u", "age", "gender"), delimiter="|"
    )
    config = DataConfig(names=("u", "i"), header=False, delimiter=";", tables=(table,))
    assert rows(open_source(tmp_path / "log.csv", config)) == [
        {"u": "1", "i": "2", "age": "24", "gender": "M"},
        {"u": "3", "i": "4", "age": "53", "gender": "F"},
    ]


def test_typed_tables_are_told_by_their_header(tmp_path):
    (tmp_path / "log.csv").write_text("item\n2\n")
    (tmp_path / "x.item").write_text("item:token\tclass:token_seq\tyear:float\n1\tA B\t1995\n2\tC D E\t1996\n")
    config = DataConfig(tables=(SideTable(file=str(tmp_path / "x.item"), on="item"),))
    assert rows(open_source(tmp_path / "log.csv", config)) == [{"item": "2", "class": ["C", "D", "E"], "year": 1996.0}]


def test_rows_of_a_table_that_cannot_be_read_join_nothing_and_are_told(tmp_path):
    lines = "".join(f"{i},{i}\n" for i in range(300))
    (tmp_path / "t.csv").write_text(f"id,x\n{lines}300,1,2\n")
    source = joined(SideTable(file=str(tmp_path / "t.csv"), on="id"), log={"id": [300, 5]})
    with pytest.warns(ClickwiseWarning, match=r"1 rows of a side table cannot be read.*t\.csv, row 301: "):
        assert [r["x"] for r in rows(source)] == [None, "5"]
    assert [r["x"] for r in rows(source)] == [None, "5"]  # told once


def test_too_many_rows_that_cannot_be_read_end_it(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n1,1\n2,1,2\n")
    table = SideTable(file=str(tmp_path / "t.csv"), on="id")
    with pytest.raises(DataError, match=r"t\.csv, row 2: .*first of 1 unreadable rows in 2 .*or raise data\.max_bad"):
        rows(joined(table, log={"id": [1]}))
    (tmp_path / "t.csv").write_text("id,x\n2,1,2\n")
    with pytest.raises(DataError, match="there are no rows"):
        rows(joined(table, log={"id": [1]}, max_bad_fraction=1.0))


@pytest.mark.parametrize("content", ["id,x\n", ""])
def test_a_table_without_rows_is_refused(tmp_path, content):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=r"t\.csv"):
        rows(joined(SideTable(file=str(tmp_path / "t.csv"), on="id"), log={"id": [1]}))


def test_bad_rows_of_the_log_go_to_the_quarantine_with_their_numbers(users, tmp_path):
    (tmp_path / "log.csv").write_text("user_id,b\n7,1\n8,1,2\n9,3\n")
    source = open_source(tmp_path / "log.csv", DataConfig(tables=(SideTable(file=users, on="user_id"),)))
    quarantine = QuarantineFile(None)
    (block,) = source.blocks(None, quarantine)
    assert block.row.tolist() == [1, 3] and quarantine.count == 1
    assert block.data.column("age").to_pylist() == ["30", "25"]
    assert block.file == str(tmp_path / "log.csv")


def test_many_blocks_get_the_same_as_one(tmp_path):
    rng = np.random.default_rng(0)
    keys = rng.permutation(500)
    pq.write_table(pa.table({"id": keys, "x": keys * 2.5, "t": [f"v{k}" for k in keys]}), tmp_path / "t.parquet")
    ids = rng.integers(0, 700, 3000)
    pq.write_table(pa.table({"id": ids}), tmp_path / "log.parquet")
    config = DataConfig(batch_rows=64, tables=(SideTable(file=str(tmp_path / "t.parquet"), on="id"),))
    source = open_source(tmp_path / "log.parquet", config)
    assert len(list(source.blocks())) > 40
    for row in rows(source):
        known = row["id"] < 500
        assert row["x"] == (row["id"] * 2.5 if known else None)
        assert row["t"] == (f"v{row['id']}" if known else None)


def test_the_fingerprint_is_of_the_log_the_tables_and_how_they_are_joined(users, tmp_path):
    pq.write_table(pa.table({"user_id": [7], "city": ["Rome"]}), tmp_path / "log.parquet")

    def fingerprint(**table):
        told = {"file": users, "on": "user_id", "columns": {"home": "city"}, **table}
        return open_source(tmp_path / "log.parquet", DataConfig(tables=(SideTable(**told),))).fingerprint()

    first = fingerprint()
    assert first is not None and first == fingerprint()
    others = [fingerprint(columns={"house": "city"}), fingerprint(gather=True), fingerprint(on="city", key="city")]
    Path(users).write_text(USERS.replace("Oslo", "Bergen"))
    others.append(fingerprint())
    assert len({first, *others}) == 5
    assert joined(SideTable(file=users, on="user_id")).fingerprint() is None  # a frame has none


def test_a_relative_path_is_looked_for_here_and_then_beside_the_log(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    (there / "log.csv").write_text("user_id\n7\n")
    (there / "users.csv").write_text("user_id,age\n7,beside\n")
    monkeypatch.chdir(here)
    config = DataConfig(tables=(SideTable(file="users.csv", on="user_id"),))
    for data in (there / "log.csv", [str(there / "log.csv")], f"{there}/l*.csv"):
        assert rows(open_source(data, config)) == [{"user_id": "7", "age": "beside"}]
    assert located(config, there / "log.csv").tables[0].file == str(there / "users.csv")
    (here / "users.csv").write_text("user_id,age\n7,here\n")
    assert rows(open_source(there / "log.csv", config)) == [{"user_id": "7", "age": "here"}]
    assert located(config, there / "log.csv").tables[0].file == str(here / "users.csv")
    lost = DataConfig(tables=(SideTable(file="nobody.csv", on="user_id"),))
    with pytest.raises(DataError, match=rf"nobody\.csv: no such side table, neither in this folder nor in {there}"):
        open_source(there / "log.csv", lost)
    with pytest.raises(DataError, match=r"nobody\.csv: no such side table, in this folder"):
        open_source(pa.table(LOG), lost)


def test_where_rows_may_have_the_columns_only_absent_ones_are_joined(users):
    config = DataConfig(tables=(SideTable(file=users, on="user_id"),))

    def columns(log, needed):
        return list(open_source(pa.table(log), config, needed=needed).columns())

    assert columns(LOG, ["price", "age"]) == ["user_id", "price", "age"]
    assert columns(LOG, ["price", "user_id"]) == ["user_id", "price"]
    assert columns(LOG, ["other"]) == ["user_id", "price"]
    whole = {"price": [1.0], "age": ["30"], "city": ["Oslo"]}
    own = {**LOG, "age": ["0"] * 5}
    assert rows(open_source(pa.table(own), config, needed=["age", "city"]))[0] == {
        "user_id": 9, "price": 1.0, "age": "0", "city": "Rome"
    }  # fmt: skip
    os.remove(users)
    assert columns(whole, ["price", "age", "city"]) == list(whole)  # the table is gone, and nobody needs it
    assert not isinstance(open_source(pa.table(whole), config, needed=["age"]), JoinedSource)


def test_absent_columns_may_come_by_way_of_two_tables(users, tmp_path):
    (tmp_path / "cities.csv").write_text("city,country\nOslo,NO\nRome,IT\n")
    tables = (SideTable(file=users, on="user_id"), SideTable(file=str(tmp_path / "cities.csv"), on="city"))
    source = open_source(pa.table(LOG), DataConfig(tables=tables), needed=["country"])
    assert list(source.columns()) == ["user_id", "price", "city", "country"]
    assert [r["country"] for r in rows(source)] == ["IT", "NO", None, None, "NO"]
    given = open_source(pa.table({"city": ["Rome"]}), DataConfig(tables=tables), needed=["country"])
    assert rows(given) == [{"city": "Rome", "country": "IT"}]
