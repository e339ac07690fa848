from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.readers.delimited import DelimitedReader
from clickwise.data.readers.layout import TextOptions, looks_like_header
from clickwise.errors import DataError
from clickwise.native import Tier
from clickwise.progress import Progress
from kernel_tiers import kernel_tier


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def read(path, columns=None, **config):
    """All rows as lists, their numbers, and the quarantine."""
    quarantine = QuarantineFile()
    rows, numbers = [], []
    for block in open_source(path, DataConfig(**config)).blocks(columns, quarantine):
        rows += [list(row.values()) for row in block.data.to_pylist()]
        numbers += block.row.tolist()
    return rows, numbers, quarantine


def test_every_column_is_text_and_empty_cells_are_null(tmp_path):
    path = write(tmp_path / "a.csv", "user,click,cost\n7,1,0.50\n08,0,\n\\N,1,x\n")
    source = open_source(path)
    assert source.columns() == {"user": pa.string(), "click": pa.string(), "cost": pa.string()}
    assert read(path)[0] == [["7", "1", "0.50"], ["08", "0", None], [None, "1", "x"]]


def test_rows_with_a_wrong_number_of_cells_are_quarantined_and_the_numbers_stay_true(tmp_path):
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n3\n"x\ny",4\n5,6,7\n\n8,9\n10\n')
    rows, numbers, quarantine = read(path)
    assert rows == [["1", "2"], ["x\ny", "4"], ["8", "9"]]
    assert numbers == [1, 3, 5]
    assert [(b["row"], b["text"]) for b in quarantine.first] == [(2, "3"), (4, "5,6,7"), (6, "10")]
    assert quarantine.first[0]["reason"] == "has 1 cells, expected 2"
    assert quarantine.first[0]["file"] == path


@pytest.mark.parametrize("header", [True, False])
def test_numbers_are_true_in_every_block(tmp_path, header):
    rng = np.random.default_rng(0)
    lines = [f"{i},{i * i}" if rng.random() > 0.1 else f"bad{i}" for i in range(1, 5001)]
    path = write(tmp_path / "a.csv", ("i,square\n" if header else "") + "\n".join(lines) + "\n")
    reader = DelimitedReader(TextOptions(header=header), block_bytes=512)
    seen, bad = [], []
    for piece in reader.pieces(path, list(reader.columns(path))):
        assert [int(v) for v in piece.data.column(0).to_pylist()] == piece.row.tolist()
        seen += piece.row.tolist()
        bad += [(entry.row, entry.text) for entry in piece.bad]
    assert seen == [i for i, line in enumerate(lines, 1) if "bad" not in line]
    assert bad == [(i, line) for i, line in enumerate(lines, 1) if "bad" in line]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(30, 200))
def test_any_pattern_of_bad_rows_is_numbered_right(tmp_path_factory, good, block_bytes):
    path = tmp_path_factory.mktemp("t") / "a.csv"
    write(path, "a,b\n" + "".join(f"{i},x\n" if ok else f"{i}\n" for i, ok in enumerate(good, 1)))
    reader = DelimitedReader(TextOptions(header=True), block_bytes=block_bytes)
    pieces = list(reader.pieces(str(path), ["a", "b"]))
    assert [n for p in pieces for n in p.row.tolist()] == [i for i, ok in enumerate(good, 1) if ok]
    assert [v for p in pieces for v in p.data["a"].to_pylist()] == [str(i) for i, ok in enumerate(good, 1) if ok]
    assert [b.row for p in pieces for b in p.bad] == [i for i, ok in enumerate(good, 1) if not ok]


_BITS = [*"ab1,,,\n\n\n", "\r\n", "\r", '"', "\\N", "é", "a,b\n", "12345,\n", "\n\n"]


@pytest.mark.parametrize("quote", [True, False])
@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(_BITS), max_size=80), st.integers(0, 500), st.integers(500, 900), st.booleans())
def test_the_kernels_read_what_arrow_reads(tmp_path_factory, quote, pieces, good, block_bytes, header):
    first = "x,y\n" if header else ""
    path = write(tmp_path_factory.mktemp("t") / "a.csv", first + "1,2\n" * good + "".join(pieces))
    options = TextOptions(delimiter=",", header=header, names=("x", "y"), quote=quote, null_values=("", "\\N"))

    def outcome():
        rows, bad = [], []
        try:
            for piece in DelimitedReader(options, block_bytes).pieces(path, ["y", "x"]):
                rows += zip(piece.row.tolist(), *(column.to_pylist() for column in piece.data.columns), strict=True)
                bad += piece.bad
        except DataError as error:
            return str(error)
        return rows, bad

    with kernel_tier(Tier.TORCH):
        wanted = outcome()
    assert outcome() == wanted


def test_bytes_that_are_not_utf8_spoil_only_their_row(tmp_path):
    path = write(tmp_path / "a.csv", b"a,b\nok,\xc3\xa9\nx,caf\xe9\n\xff\xfe\nlast,1\n")
    rows, numbers, quarantine = read(path)
    assert rows == [["ok", "é"], ["last", "1"]]
    assert numbers == [1, 4]
    assert [(b["row"], b["column"], b["value"]) for b in quarantine.first] == [(2, "b", "caf\\xe9"), (3, None, None)]
    assert quarantine.first[0]["reason"] == "is not valid UTF-8" and quarantine.first[0]["text"] == "x,caf\\xe9"
    assert quarantine.first[1]["text"] == "\\xff\\xfe"


def test_line_ends_in_quotes_are_part_of_the_cell_wherever_a_block_ends(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n" + "".join(f'"{i}\nx\r\ny","{i}, ""q"""\n' for i in range(500)))
    reader = DelimitedReader(TextOptions(), block_bytes=300)
    pieces = list(reader.pieces(path, ["a", "b"]))
    assert len(pieces) > 10
    assert [v for p in pieces for v in p.data["a"].to_pylist()] == [f"{i}\nx\r\ny" for i in range(500)]
    assert [v for p in pieces for v in p.data["b"].to_pylist()] == [f'{i}, "q"' for i in range(500)]
    assert [n for p in pieces for n in p.row.tolist()] == list(range(1, 501))


def test_a_character_cut_in_two_by_a_read_is_whole(tmp_path):
    text = "a,b\n" + "".join(f"{'é' * (i % 7)}日本,{i}\n" for i in range(3000))
    path = write(tmp_path / "a.csv", text)
    reader = DelimitedReader(TextOptions(), block_bytes=1001)
    values = [v for piece in reader.pieces(path, ["a", "b"]) for v in piece.data["a"].to_pylist()]
    assert values == [f"{'é' * (i % 7)}日本" for i in range(3000)]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "csv.zst"])
def test_packed_files_are_read_alike(tmp_path, ending):
    data = ("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(1000))).encode()
    packed = {"csv": data, "csv.gz": gzip.compress(data), "csv.zst": pa.compress(data, "zstd", asbytes=True)}[ending]
    rows, numbers, _ = read(write(tmp_path / f"a.{ending}", packed))
    assert rows == [[str(i), str(i % 3)] for i in range(1000)]
    assert numbers == list(range(1, 1001))


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_packed_data_that_ends_too_early_names_the_file_and_how_far_it_got(tmp_path, codec):
    rng = np.random.default_rng(0)
    data = b"a,b\n" + b"".join(b"%d,%d\n" % tuple(row) for row in rng.integers(0, 10**9, (20_000, 2)))
    packed = gzip.compress(data) if codec == "gzip" else pa.compress(data, "zstd", asbytes=True)
    path = write(tmp_path / "a.csv.x", packed[: len(packed) // 2])
    with pytest.raises(
        DataError, match=r"the (gzip|zstd) data ends too early, after about [\d,]{5,} bytes of text"
    ) as caught:
        read(path, format="csv")
    assert str(caught.value).startswith(path) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(tmp_path, content):
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match="the file is empty") as caught:
        read(path)
    assert path in str(caught.value)


@pytest.mark.parametrize("content", ["a,b\n", "a,b", "a,b\r\n\r\n"])
def test_a_header_and_no_rows_is_an_error(tmp_path, content):
    with pytest.raises(DataError, match="there are no rows"):
        read(write(tmp_path / "a.csv", content))


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    rows, _, _ = read(write(tmp_path / "a.csv", "\ufeffuser,click\r\n1,0\r\n"), columns=["user"])
    assert rows == [["1"]]
    with pytest.raises(DataError, match="is UTF-16 text"):
        read(write(tmp_path / "b.csv", "a,b\n1,2\n".encode("utf-16")))


def test_a_column_twice_is_an_error(tmp_path):
    with pytest.raises(DataError, match="column 'a': the column appears twice"):
        read(write(tmp_path / "a.csv", "a,b,a\n1,2,3\n"), header=True)
    path = write(tmp_path / "b.csv", "user_id,user_id,price,click\n1,2,3,0\n")
    with pytest.raises(DataError, match=r"column .user_id.: the column appears twice; .*data.header = false"):
        read(path)
    assert len(read(path, header=False)[0]) == 2


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("user,click\n1,0\n", ["user", "click"]),
        (",click\n0,1\n", ["f0", "click"]),
        ("1,0\n2,1\n", ["f0", "f1"]),
        ("a,1e5\nb,2\n", ["f0", "f1"]),
        ("a,,c\nb,2,3\n", ["f0", "f1", "f2"]),
        ("1,x\ny,z\n", ["f0", "f1"]),
        ("..ip,app\n3,4\n", ["..ip", "app"]),
        ('"a b";"c,d"\n1;2\n', ["a b", "c,d"]),
    ],
)
def test_the_header_is_found_or_found_missing(tmp_path, text, names):
    assert list(open_source(write(tmp_path / "a.csv", text)).columns()) == names


def test_names_that_the_user_gives(tmp_path):
    bare = write(tmp_path / "bare.csv", "a,b\nc,d\n")
    assert read(bare, names=("x", "y"), columns=["y"])[0] == [["b"], ["d"]]
    assert read(bare, names=("a", "b"))[0] == [["c", "d"]]
    assert read(bare, names=("x", "y"), header=True, columns=["x"])[0] == [["c"]]
    assert read(bare, header=False)[0] == [["a", "b"], ["c", "d"]]
    with pytest.raises(DataError, match="the first line has 2 cells, expected 3"):
        read(bare, names=("x", "y", "z"))


def test_missing_names_are_noted(tmp_path):
    notes = []

    class Notes(Progress):
        def note(self, text):
            notes.append(text)

    open_source(write(tmp_path / "a.csv", "1,2\n"), DataConfig(), Notes())
    assert len(notes) == 1 and "f0 to f1" in notes[0]


def test_a_quote_that_is_never_closed_does_not_eat_the_file_in_silence(tmp_path):
    for name, line in (("right.csv", '3,"x'), ("wrong.csv", '"x,3,4')):
        path = write(tmp_path / name, f"a,b\n1,2\n{line}\n" + "5,6\n" * 50)
        with pytest.raises(DataError, match="row 2: a quote is opened and never closed"):
            read(path)
    with pytest.raises(DataError, match="after row 1 is longer than 64 bytes"):
        list(DelimitedReader(TextOptions(), block_bytes=64).pieces(path, ["a", "b"]))


def test_a_file_of_another_shape_fails_early(tmp_path, monkeypatch):
    monkeypatch.setattr("clickwise.data.readers.delimited._MOST_PENDING", 100)
    path = write(tmp_path / "a.csv", "a,b\n" + "1;2\n" * 500)
    with pytest.raises(DataError, match="row 1, value '1;2': 100 rows in a row do not have 2 cells"):
        read(path)


def test_only_the_columns_asked_for_come_in_the_order_asked(tmp_path):
    path = write(tmp_path / "a.csv", "a,b,c\n1,2,3\n")
    (block,) = open_source(path).blocks(["c", "a"])
    assert block.data.schema.names == ["c", "a"] and block.data.to_pylist() == [{"c": "3", "a": "1"}]
    with pytest.raises(DataError, match=r"column 'cc': has no such column \(did you mean 'c'\?\); it has a, b, c"):
        next(open_source(path).blocks(["cc"]))


def test_blocks_are_bounded_and_the_source_can_be_read_again(tmp_path):
    path = write(tmp_path / "a.csv", "a\n" + "".join(f"{i}\n" for i in range(1000)))
    source = open_source(path, DataConfig(batch_rows=64, header=True))
    sizes = [len(block) for block in source.blocks()]
    assert max(sizes) <= 64 and sum(sizes) == 1000
    assert [b.row.tolist() for b in source.blocks()] == [b.row.tolist() for b in source.blocks()]


def test_wide_rows_make_small_blocks(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n" + ("x" * 10_000 + ",1\n") * 2000)
    sizes = [block.data.nbytes for block in open_source(path).blocks()]
    assert sum(sizes) > 19_000_000 and max(sizes) < 6_000_000


def test_stopping_early_lets_go_of_the_file(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n" + "1,2\n" * 3_000_000)
    for _ in range(5):
        blocks = open_source(path, DataConfig(batch_rows=10)).blocks()
        next(blocks)
        blocks.close()


def test_cells_are_stripped_where_asked(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n x , y\n  ,z\n")
    assert read(path, strip=True)[0] == [["x", "y"], [None, "z"]]
    assert read(path)[0] == [[" x ", " y"], ["  ", "z"]]


def test_an_estimate_of_the_rows(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n" + "11,22\n" * 100_000)
    assert open_source(path).num_rows() is None
    assert abs(open_source(path).estimated_rows() - 100_000) < 100
    packed = write(tmp_path / "b.csv.gz", gzip.compress(b"a,b\n1,2\n"))
    assert open_source(packed).estimated_rows() is None


def test_inf_and_nan_can_be_names_of_columns():
    assert looks_like_header(["click", "inf", "nan"])
    assert not looks_like_header(["click", "1e3"])
