from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clickwise.data.readers.text_stream import MARK, TextStream, estimated_lines, unmarked
from clickwise.errors import DataError


def read_all(path, size):
    with TextStream(str(path)) as stream:
        parts = []
        while part := stream.read(size):
            assert len(part) <= size
            parts.append(part)
        return b"".join(parts), stream


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=20_000), st.integers(1, 5000))
def test_what_comes_out_is_utf8_and_nothing_is_lost(tmp_path_factory, data, size):
    assume(not data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\xfe\xff")))
    path = tmp_path_factory.mktemp("t") / "a"
    path.write_bytes(data)
    text, stream = read_all(path, size)
    data = data.removeprefix(b"\xef\xbb\xbf")
    assert unmarked(text.decode("utf-8")) == data.decode("utf-8", errors="backslashreplace").replace(MARK, "\\x")
    assert stream.dirty == (data.decode("utf-8", errors="ignore").encode() != data)
    assert stream.bytes_read == len(text) and stream.quotes == data.count(b'"')


def test_long_text_is_the_same_for_every_size_of_read(tmp_path):
    data = ("日本é" * 5000 + "\n").encode() + b"\xe6\x97" + b"end" * 3000 + b"\xe6"
    (tmp_path / "a").write_bytes(data)
    texts = {read_all(tmp_path / "a", size)[0] for size in (1000, 4096, 4097, 1 << 20)}
    assert len(texts) == 1
    assert unmarked(texts.pop().decode()) == data.decode("utf-8", errors="backslashreplace")


def test_a_missing_file_and_a_damaged_one(tmp_path):
    with pytest.raises(DataError, match="gone: no such file"):
        TextStream(str(tmp_path / "gone"))
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8b" + b"not gzip at all" * 10)
    with pytest.raises(DataError, match=r"cannot be unpacked: .*, after about 0 bytes"):
        read_all(tmp_path / "a.gz", 100)


def test_estimated_lines(tmp_path):
    (tmp_path / "a").write_bytes(b"12345\n" * 1000)
    assert estimated_lines(str(tmp_path / "a")) == 1000
    assert estimated_lines(str(tmp_path / "a"), sample_bytes=600) == 1000
    (tmp_path / "a").write_bytes(b"1\n2")
    assert estimated_lines(str(tmp_path / "a")) == 2
