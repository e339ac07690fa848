from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block
from clickwise.errors import DataError
from clickwise.features.transform import BadCell, BadCells


def block_of(values):
    return Block(pa.RecordBatch.from_pydict({"x": values}), "f.csv", 0, np.arange(len(values)) * 10 + 10)


def no_letters(block):
    values = block.data.column(0).to_pylist()
    bad = [BadCell(i, "x", v, "is a letter") for i, v in enumerate(values) if v.isalpha()]
    if bad:
        raise BadCells([*bad, *(cell._replace(column="twice") for cell in bad)])
    return [int(v) for v in values]


def test_bad_rows_go_to_the_quarantine_once_and_the_rest_is_read(tmp_path):
    with QuarantineFile(tmp_path / "q.jsonl") as quarantine:
        sieve = Sieve(quarantine)
        block = block_of(["1", "a", "3", "b"])
        sieve.count(block)
        kept, left, numbers = sieve.read(block, no_letters)
    assert kept.tolist() == [0, 2]
    assert left.row.tolist() == [10, 30]
    assert numbers == [1, 3]
    assert (sieve.rows, quarantine.count) == (4, 2)
    written = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [(r["file"], r["row"], r["column"], r["value"]) for r in written] == [
        ("f.csv", 20, "x", "a"),
        ("f.csv", 40, "x", "b"),
    ]


def test_rows_that_the_reader_refused_count_too():
    quarantine = QuarantineFile(None)
    sieve = Sieve(quarantine)
    quarantine.add(file="f.csv", row=1, column=None, value=None, reason="torn", text="x")
    sieve.count(block_of(["1", "2", "3"]))
    assert sieve.rows == 4
    sieve.check(0.25)
    with pytest.raises(DataError, match=r"f\.csv, row 1: torn"):
        sieve.check(0.2)


def test_a_block_without_a_readable_row_comes_back_empty():
    kept, left, numbers = Sieve(QuarantineFile(None)).read(block_of(["a", "b"]), no_letters)
    assert (kept.tolist(), len(left), numbers) == ([], 0, [])
