from __future__ import annotations

import pyarrow as pa
import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import DataError


def test_declared_types(tmp_path):
    path = tmp_path / "a.item"
    path.write_text('id:token\tprice:float\tgenre:token_seq\tvec:float_seq\n007\t1.5\tA "B\t1 2.5\n8\t\t\t\n')
    source = open_source(path)
    assert source.columns() == {
        "id": pa.string(),
        "price": pa.float64(),
        "genre": pa.list_(pa.string()),
        "vec": pa.list_(pa.float64()),
    }
    (block,) = source.blocks()
    assert block.data.to_pylist() == [
        {"id": "007", "price": 1.5, "genre": ["A", '"B'], "vec": [1.0, 2.5]},
        {"id": "8", "price": None, "genre": None, "vec": None},
    ]


def test_a_number_that_is_none_makes_a_bad_row(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("id:token\tx:float\tv:float_seq\na\t1\t1 2\nb\tone\t3\nc\t2\t4 y\nd\t3\t5\ne\n")
    quarantine = QuarantineFile()
    (first, *_) = open_source(str(path)).blocks(None, quarantine)
    assert first.row.tolist() == [1, 4] and first.data["v"].to_pylist() == [[1, 2], [5]]
    assert [(b["row"], b["column"], b["value"], b["text"]) for b in quarantine.first] == [
        (2, "x", "one", "b\tone\t3"),
        (3, "v", "4 y", "c\t2\t4 y"),
        (5, None, None, "e"),
    ]


def test_a_header_without_types_is_an_error(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("id:token\tx:number\na\t1\n")
    with pytest.raises(DataError, match="the header cell 'x:number' is not name:type"):
        open_source(str(path), DataConfig(format="typed_tsv")).columns()
    assert list(open_source(str(path)).columns()) == ["id:token", "x:number"]
