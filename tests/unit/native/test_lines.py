"""Cutting delimited text against plain Python, on every instruction set."""

from __future__ import annotations

import random

import pytest

from clickwise.native import kernels
from clickwise.native.lines import BadLine, Cut, LineCutter

NULLS = ("", "\\N", "missing!", "a text of many more bytes")
WORDS = [*NULLS, "a", "ab", "\\n", "missing?", "é", "x" * 15, "y" * 16, "z" * 17, "w" * 300, "1234567", "12345678"]


def _naive(
    text: bytes, cells: int, wanted: list[int], delimiter: bytes
) -> tuple[list[list[str | None]], list[BadLine]]:
    rows, bad, at, met = [], [], 0, 0
    for line in text.split(b"\n")[:-1]:
        end = at + len(line) - line.endswith(b"\r")
        found = text[at:end].split(delimiter)
        if end > at:
            if len(found) == cells:
                texts = [found[c].decode() for c in wanted]
                rows.append([None if t in NULLS else t for t in texts])
            else:
                bad.append(BadLine(met, at, end, len(found)))
            met += 1
        at += len(line) + 1
    return rows, bad


def _rows(cut: Cut) -> list[list[str | None]]:
    for column in cut.columns:
        column.validate(full=True)
    return [list(row) for row in zip(*(column.to_pylist() for column in cut.columns), strict=True)]


@pytest.mark.parametrize("lines", [1, 2, 63, 64, 65, 700])
@pytest.mark.parametrize(("cells", "wanted"), [(1, [0]), (3, [2, 0]), (40, list(range(40))), (5, [])])
def test_lines_become_columns(isa: str, lines: int, cells: int, wanted: list[int]) -> None:
    source = random.Random(lines * cells)
    for trial in range(5):
        text = b""
        for _ in range(lines):
            count = cells if source.random() < 0.95 else source.randrange(2 * cells + 1)
            text += "\t".join(source.choice(WORDS) for _ in range(count)).encode()
            text += source.choice([b"\n", b"\r\n"]) if trial else b"\n"
        cutter = LineCutter(cells, wanted, b"\t", quotes=True, nulls=NULLS)
        rows, bad, at, before = [], [], 0, 0
        while at < len(text):  # where most cells are empty it stops before the end
            cut = cutter.cut(memoryview(text)[at:])
            rows += _rows(cut)
            bad += [BadLine(b.before + before, b.begin + at, b.end + at, b.cells) for b in cut.bad]
            before = len(rows) + len(bad) if wanted else before
            at += cut.consumed
            assert cut.consumed
        if wanted:
            assert (rows, bad) == _naive(text, cells, wanted, b"\t")


@pytest.mark.parametrize("position", [0, 1, 62, 63, 64, 65, 200])
@pytest.mark.parametrize("odd", [b'"', b"\r"])
def test_a_quote_or_an_odd_line_end_stops_before_its_line(isa: str, position: int, odd: bytes) -> None:
    good = b"ab,c\n" * (position // 5)
    text = good + b"x" * (position % 5) + odd + b"x,c\n" + good
    assert LineCutter(2, [0], b",", quotes=True, nulls=()).cut(memoryview(text)).consumed == len(good)
    if odd == b'"':
        assert LineCutter(2, [0], b",", quotes=False, nulls=()).cut(memoryview(text)).consumed == len(text)


def test_many_bad_lines_are_told_in_pieces(isa: str) -> None:
    text = b"a\n" * 2500 + b"a,b\n"
    cutter, counts = LineCutter(2, [0, 1], b",", quotes=False, nulls=()), []
    while text:
        cut = cutter.cut(memoryview(text))
        counts.append(len(cut.bad))
        text = text[cut.consumed :]
    assert counts == [1000, 1000, 500]
    assert _rows(cut) == [["a", "b"]]


def test_no_text_gives_empty_columns(isa: str) -> None:
    cut = LineCutter(2, [1], b",", quotes=False, nulls=("",)).cut(memoryview(b""))
    assert (cut.consumed, _rows(cut), cut.bad) == (0, [], [])


def test_what_does_not_fit_is_refused() -> None:
    cutter = LineCutter(2, [1], b",", quotes=False, nulls=())
    with pytest.raises(ValueError, match="the last line does not end"):
        cutter.cut(memoryview(b"a,b"))
    with pytest.raises(ValueError, match="the delimiter ends lines"):
        LineCutter(2, [1], b"\n", quotes=False, nulls=()).cut(memoryview(b"a,b\n"))
    with pytest.raises(ValueError, match="a line has no cells"):
        kernels().LineCutter(0)
