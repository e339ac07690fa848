from __future__ import annotations

import gc
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from clickwise.data.readers.arrow_csv import csv_batches
from clickwise.data.readers.text_stream import TextStream
from clickwise.errors import DataError


def held() -> int:
    return sum(type(thing).__name__ == "_Lent" for thing in gc.get_objects())


def options(block: int) -> pacsv.ReadOptions:
    return pacsv.ReadOptions(use_threads=False, block_size=block)


@pytest.fixture
def numbers(tmp_path: Path) -> str:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i % 7}\n" for i in range(200_000)))
    return str(path)


@pytest.mark.parametrize("block", [1 << 10, 1 << 14, 1 << 18])
def test_arrow_has_let_go_of_the_stream_once_the_batches_are_closed(numbers: str, block: int) -> None:
    for taken in (1, 2, 3) * 5:
        with TextStream(numbers) as stream, closing(csv_batches(stream, read_options=options(block))) as batches:
            rows = sum(next(batches).num_rows for _ in range(taken))
            batches.close()
            assert held() == 0
        assert 0 < rows < 200_000


def test_a_whole_file_comes_and_the_stream_is_let_go_of(numbers: str) -> None:
    with TextStream(numbers) as stream:
        table = pa.Table.from_batches(csv_batches(stream, read_options=options(1 << 16)))
    assert table["a"].to_pylist() == list(range(200_000))
    assert held() == 0


def test_what_the_stream_and_the_parser_raise_comes_through(numbers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with TextStream(numbers) as stream:
        read = stream.read

        def failing(size: int) -> bytes:
            if stream.bytes_read > 1 << 17:
                raise DataError("is torn", file=numbers, fix="mend it")
            return read(size)

        monkeypatch.setattr(stream, "read", failing)
        for block in (1 << 16, 1 << 19):
            with pytest.raises(DataError, match="is torn"):
                list(csv_batches(stream, read_options=options(block)))
            assert held() == 0
    Path(numbers).write_text("a,b\n" + "1,2\n" * 100_000 + "3\n")
    with TextStream(numbers) as stream:
        with pytest.raises(pa.ArrowInvalid, match="Expected 2 columns"):
            list(csv_batches(stream, read_options=options(1 << 16)))
        assert held() == 0
