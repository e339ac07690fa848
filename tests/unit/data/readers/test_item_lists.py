from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import DataError


def read(path, columns=None, **config):
    quarantine = QuarantineFile(None)
    source = open_source(str(path), DataConfig(format="item_lists", **config))
    blocks = list(source.blocks(columns, quarantine))
    rows = [row for block in blocks for row in block.data.to_pylist()]
    return rows, [n for block in blocks for n in block.row.tolist()], quarantine


def test_a_line_is_a_row_for_each_of_its_items(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("0 7 8\n\n1\t9  x-y \r\n# nobody\n2\n3 é 7 # the rest 5 6\n")
    rows, numbers, quarantine = read(path)
    assert [(r["user"], r["item"]) for r in rows] == [
        ("0", "7"), ("0", "8"), ("1", "9"), ("1", "x-y"), ("3", "é"), ("3", "7")
    ]  # fmt: skip
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert quarantine.count == 0
    assert open_source(path, DataConfig(format="item_lists")).columns() == {"user": pa.string(), "item": pa.string()}


@pytest.mark.parametrize("columns", [["user"], ["item"], ["item", "user"]])
def test_only_the_columns_asked_for(tmp_path, columns):
    path = tmp_path / "train.txt"
    path.write_text("0 7 8\n1 9\n")
    rows, numbers, _ = read(path, columns)
    whole = [{"user": "0", "item": "7"}, {"user": "0", "item": "8"}, {"user": "1", "item": "9"}]
    assert [list(row.items()) for row in rows] == [[(name, row[name]) for name in columns] for row in whole]
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize("batch_rows", [1, 7, 40, 65_536])
@pytest.mark.parametrize("packed", [False, True])
def test_against_plain_loops_whatever_the_size_of_blocks(tmp_path, batch_rows, packed):
    rng = np.random.default_rng(0)
    lines = [[str(user), *map(str, rng.integers(0, 99, rng.integers(0, 30)))] for user in range(60)]
    text = "\n".join(" ".join(cells) for cells in lines).encode()
    path = tmp_path / ("train.txt.gz" if packed else "train.txt")
    path.write_bytes(gzip.compress(text) if packed else text)
    rows, numbers, _ = read(path, batch_rows=batch_rows)
    expected = [(user, item) for user, *items in lines for item in items]
    assert [(r["user"], r["item"]) for r in rows] == expected
    assert numbers == list(range(1, len(expected) + 1))
    source = open_source(str(path), DataConfig(format="item_lists", batch_rows=batch_rows))
    assert max(len(block) for block in source.blocks()) <= batch_rows


def test_cells_that_are_not_utf8_make_their_rows_bad(tmp_path):
    path = tmp_path / "train.txt"
    path.write_bytes(b"0 7 \xff8 9\n\xfe 1 2\n3 4\n")
    rows, numbers, quarantine = read(path)
    assert [(r["user"], r["item"]) for r in rows] == [("0", "7"), ("0", "9"), ("3", "4")]
    assert numbers == [1, 3, 6]
    assert [(b["row"], b["column"], b["value"], b["reason"]) for b in quarantine.first] == [
        (2, "item", "\\xff8", "is not valid UTF-8"),
        (4, "user", "\\xfe", "is not valid UTF-8"),
        (5, "user", "\\xfe", "is not valid UTF-8"),
    ]
    rows, numbers, quarantine = read(path, ["user"])  # items are not looked at
    assert [r["user"] for r in rows] == ["0", "0", "0", "3"] and numbers == [1, 2, 3, 6]
    assert quarantine.count == 2


@pytest.mark.parametrize("text", ["", "\n\n", "0\n1\n", "# 0 7\n"])
def test_a_file_without_items_is_refused(tmp_path, text):
    path = tmp_path / "train.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=r"train\.txt: (the file is empty|there are no rows)"):
        read(path)


def test_it_is_only_read_so_when_asked_to(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("0 7 8\n1 9 4\n")
    assert "user" not in open_source(path).columns()
