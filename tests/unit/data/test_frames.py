from __future__ import annotations

import gc
import os

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clickwise.data.config import DataConfig
from clickwise.data.frames import rows_to_batch, spilled_source
from clickwise.data.open import open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import DataError

COLUMNS = {"user": [f"u{i % 5}" for i in range(100)], "click": [i % 2 for i in range(100)]}


def table():
    return pa.table(COLUMNS)


class OnlyAStream:
    """Speaks Arrow once, like the result of a query."""

    def __init__(self):
        self.reader = table().to_reader(max_chunksize=30)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.reader.__arrow_c_stream__(requested_schema)


MAKERS = {
    "pyarrow table": table,
    "record batch": lambda: table().combine_chunks().to_batches()[0],
    "reader": lambda: table().to_reader(max_chunksize=30),
    "one stream": OnlyAStream,
    "pandas": lambda: pd.DataFrame(COLUMNS, index=range(5, 105)),
    "pandas categories": lambda: pd.DataFrame(COLUMNS).astype({"user": "category"}),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars categories": lambda: pl.DataFrame(COLUMNS, schema_overrides={"user": pl.Categorical}),
    "rows": lambda: table().to_pylist(),
    "columns": lambda: {"user": COLUMNS["user"], "click": np.array(COLUMNS["click"])},
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_every_kind_of_frame_gives_the_same_rows_again_and_again(maker, tmp_path):
    source = open_source(maker(), DataConfig(batch_rows=16, cache_dir=str(tmp_path)))
    assert source.columns() == {"user": pa.string(), "click": pa.int64()}
    for _ in range(2):
        blocks = list(source.blocks())
        assert [row for b in blocks for row in b.data.to_pylist()] == table().to_pylist()
        assert [n for b in blocks for n in b.row.tolist()] == list(range(1, 101))
        assert max(map(len, blocks)) <= 16
    assert next(source.blocks(["click"])).data.schema.names == ["click"]
    assert source.num_rows() == 100 and source.fingerprint() is None
    assert open_source(source) is source


def test_a_spilled_stream_leaves_no_file(tmp_path):
    source = open_source(table().to_reader(), DataConfig(cache_dir=str(tmp_path / "new")))
    assert len(os.listdir(tmp_path / "new")) == 1
    assert sum(map(len, source.blocks())) == 100
    del source
    gc.collect()
    assert os.listdir(tmp_path / "new") == []


def test_a_stream_that_breaks_off_leaves_no_file(tmp_path):
    def batches():
        yield table().to_batches()[0]
        raise OSError("the line went dead")

    reader = pa.RecordBatchReader.from_batches(table().schema, batches())
    with pytest.raises(DataError, match=r"breaks off: .*the line went dead"):
        spilled_source("stream", reader, 10, str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_text_that_is_not_utf8_is_quarantined():
    quarantine = QuarantineFile()
    frame = pa.table({"a": pa.array([b"x", b"\xe9", b"z"])})
    (block,) = open_source(frame).blocks(None, quarantine)
    assert block.data.to_pylist() == [{"a": "x"}, {"a": "z"}] and block.row.tolist() == [1, 3]
    assert quarantine.first[0]["row"] == 2 and quarantine.first[0]["file"] == "frame"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (42, "cannot read rows from a int; give a path, a frame"),
        ([1, 2], "cannot read rows from a list"),
        ({"a": [1], "b": [1, 2]}, "the columns differ in length"),
        ({"a": [1, 2, "x", 4]}, "rows, row 3, column 'a', value 'x': is of another kind"),
        ([{"a": 1}, {"a": "x"}], "rows, row 2, column 'a', value 'x'"),
        ({"a": "text"}, r"rows, column 'a', value 'text': a column must be a list of values; .* \[row\]"),
        ({"a": [1], "b": 2.0}, r"rows, column 'b', value 2.0: a column must be a list of values; .* \[row\]"),
        (pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), "column 'a': the column appears twice"),
    ],
)
def test_what_is_no_frame_is_an_error(data, message):
    with pytest.raises(DataError, match=message):
        open_source(data)


@pytest.mark.parametrize("data", [[], {"a": []}, pd.DataFrame({"a": []})], ids=["rows", "columns", "pandas"])
def test_no_rows_is_an_error(data):
    with pytest.raises(DataError, match="there are no rows"):
        list(open_source(data).blocks())


def test_a_missing_column_says_the_nearest():
    with pytest.raises(DataError, match=r"column 'clik': has no such column \(did you mean 'click'\?\)"):
        next(open_source(table()).blocks(["clik"]))


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_rows_to_batch_takes_every_kind(maker):
    batch = rows_to_batch(maker(), ["click", "user"])
    assert batch.schema == pa.schema([("click", pa.int64()), ("user", pa.string())])
    assert batch.to_pydict() == {"click": COLUMNS["click"], "user": COLUMNS["user"]}


def test_rows_to_batch_fills_missing_keys_and_names_missing_columns():
    rows = [{"a": 1, "unused": object()}, {"b": "x"}, {"a": None, "b": "y"}]
    assert rows_to_batch(rows, ["b", "a"]).to_pydict() == {"b": [None, "x", "y"], "a": [1, None, None]}
    with pytest.raises(DataError, match=r"column 'usr': is not in the rows \(did you mean 'user'\?\)"):
        rows_to_batch({"user": [1]}, ["usr"])
    with pytest.raises(DataError, match="column 'b': is not in the rows"):
        rows_to_batch([{"a": 1}], ["a", "b"])
    with pytest.raises(DataError, match=r"2 columns are not in the rows: 'usr' \(did you mean 'user'\?\), 'b'; give"):
        rows_to_batch([{"user": 1, "a": 2}], ["usr", "a", "b"])
    with pytest.raises(DataError, match=r"60 columns are not in the rows: .*'c49' and 10 more"):
        rows_to_batch({"a": [1]}, [f"c{n}" for n in range(60)])
    assert rows_to_batch({"a": [1], "unused": 2}, ["a"]).num_rows == 1
    assert rows_to_batch([], ["a"]).num_rows == 0


def test_rows_to_batch_refuses_text_that_is_not_utf8():
    with pytest.raises(DataError, match=r"row 2, column 'a', value .*xe9.*: is not valid UTF-8"):
        rows_to_batch({"a": [b"x", b"\xe9"]}, ["a"])
