from __future__ import annotations

import json

import pytest

from clickwise.data.quarantine import QuarantineFile
from clickwise.errors import DataError


def bad(quarantine, row, text="raw"):
    quarantine.add(file="a.csv", row=row, column="age", value="x", reason="is not a number", text=text)


def test_nothing_is_written_when_nothing_is_bad(tmp_path):
    with QuarantineFile(tmp_path / "bad.jsonl") as quarantine:
        quarantine.check(10, 0.0)
    assert list(tmp_path.iterdir()) == []


def test_rows_are_json_lines_and_text_is_cut(tmp_path):
    path = tmp_path / "deep" / "bad.jsonl"
    with QuarantineFile(path) as quarantine:
        bad(quarantine, 3, "é" * 5000)
        assert not path.exists(), "the file appears whole or not at all"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows == [
        {"file": "a.csv", "row": 3, "column": "age", "value": "x", "reason": "is not a number", "text": "é" * 1000}
    ]
    assert [p.name for p in path.parent.iterdir()] == ["bad.jsonl"]


def test_count_and_the_first_few_are_kept():
    quarantine = QuarantineFile()
    for row in range(1, 21):
        bad(quarantine, row)
    assert quarantine.count == 20
    assert [entry["row"] for entry in quarantine.first] == [1, 2, 3, 4, 5]


def test_check_allows_up_to_the_fraction_and_not_more(tmp_path):
    quarantine = QuarantineFile(tmp_path / "bad.jsonl")
    bad(quarantine, 7)
    quarantine.check(100, 0.01)
    with pytest.raises(DataError) as caught:
        quarantine.check(99, 0.01)
    message = str(caught.value)
    for part in ("a.csv, row 7, column 'age', value 'x': is not a number", "1 unreadable", "99", "1.01%", "1.00%"):
        assert part in message
    assert str(tmp_path / "bad.jsonl") in message and (tmp_path / "bad.jsonl").exists()
    assert "\n" not in message


def test_a_users_mistake_keeps_the_file_and_a_crash_leaves_none(tmp_path):
    def stopped_by(error, path):
        with QuarantineFile(path) as quarantine:
            bad(quarantine, 1)
            raise error

    with pytest.raises(DataError):
        stopped_by(DataError("other"), tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        stopped_by(KeyboardInterrupt(), tmp_path / "gone")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be written"):
        bad(QuarantineFile(tmp_path / "file" / "bad.jsonl"), 1)
