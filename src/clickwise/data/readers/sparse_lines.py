"""Lines of sparse text (libsvm, libfm, libffm) cut into labels and `index:value` or `field:index:value` pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.readers.numbers import parse_floats
from clickwise.data.readers.reader import BadRow, reading
from clickwise.data.readers.text_stream import MARK, TextStream, unmarked
from clickwise.errors import DataError

_BLOCK_BYTES = 1 << 22
_LONGEST_LINE = 1 << 26


class Lines(NamedTuple):
    """Data lines, trimmed, [n] string, and their numbers [n] int64; blank lines and comments are not data."""

    text: pa.Array
    row: np.ndarray


class Pairs(NamedTuple):
    """n good lines, cut up.

    Args:
        row: [n] number of each line.
        label: [n] string.
        qid: [n] string, or None when lines carry none.
        line: [m] position of each pair's line.
        field: [m] string, or None where pairs have two parts.
        index: [m] string.
        value: [m] float64.
        bad: the lines that are not among the good.
    """

    row: np.ndarray
    label: pa.Array
    qid: pa.Array | None
    line: np.ndarray
    field: pa.Array | None
    index: pa.Array
    value: pa.Array
    bad: list[BadRow]


def read_lines(file: str, batch_rows: int) -> Iterator[Lines]:
    """The data lines of `file`, at most `batch_rows` at a time. A `#` begins a comment, up to the end of the line."""
    done = 0
    with reading(file, "text"), TextStream(file) as stream:
        left_over = b""
        while chunk := stream.read(_BLOCK_BYTES):
            chunk = left_over + chunk
            cut = chunk.rfind(b"\n") + 1
            chunk, left_over = chunk[:cut], chunk[cut:]
            if len(left_over) > _LONGEST_LINE:
                raise DataError(f"a line is longer than {_LONGEST_LINE:,} bytes", file=file, row=done + 1)
            for lines in _data_lines(chunk, done, batch_rows):
                done += len(lines.row)
                yield lines
        yield from _data_lines(left_over + b"\n", done, batch_rows)


def _data_lines(chunk: bytes, done: int, batch_rows: int) -> Iterator[Lines]:
    """The data lines of whole lines of text, numbered from `done` + 1."""
    ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(chunk))
    if b"#" in chunk:
        lines = pc.replace_substring_regex(lines, "#.*", "")
    lines = pc.utf8_trim_whitespace(lines)
    lines = lines.filter(pc.greater(pc.binary_length(lines), 0))
    for start in range(0, len(lines), batch_rows):
        part = lines.slice(start, batch_rows)
        first = done + start + 1
        yield Lines(part, np.arange(first, first + len(part), dtype=np.int64))


class _Check:
    """Collects the first thing that is wrong with each line."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._bad: dict[int, BadRow] = {}

    def wrong(self, positions: np.ndarray, column: str | None, values: pa.Array, reason: str) -> None:
        """Lines at `positions` [k] hold `values` [k] that are wrong."""
        for position, value in zip(positions.tolist(), values.to_pylist(), strict=True):
            if position not in self._bad:
                text = unmarked(self._lines.text[position].as_py())
                row = int(self._lines.row[position])
                self._bad[position] = BadRow(row, reason, column, unmarked(value or ""), text)

    def good(self) -> np.ndarray:
        """[n] bool."""
        mask = np.ones(len(self._lines.row), bool)
        mask[list(self._bad)] = False
        return mask

    def bad(self) -> list[BadRow]:
        """In order of their rows."""
        return [self._bad[position] for position in sorted(self._bad)]


def cut_lines(lines: Lines, parts: int, qid: bool) -> Pairs:
    """Cut `lines` into pairs of `parts` parts (2 or 3), with the second word of each being `qid:...` where `qid`."""
    check = _Check(lines)
    words = pc.ascii_split_whitespace(lines.text)
    starts = words.offsets.to_numpy()[:-1] - words.offsets[0].as_py()
    lengths = pc.list_value_length(words).to_numpy()
    flat = words.flatten()
    label = pc.utf8_ltrim(flat.take(pa.array(starts)), "+")
    _, not_number = parse_floats(label)
    check.wrong(not_number, "label", label.take(pa.array(not_number)), "is not a number, where the label should be")
    is_pair = np.ones(len(flat), bool)
    is_pair[starts] = False
    if qid:
        second = np.minimum(starts + 1, len(flat) - 1)
        has_qid = (lengths > 1) & pc.starts_with(flat.take(pa.array(second)), "qid:").to_numpy(zero_copy_only=False)
        lacking = np.flatnonzero(~has_qid)
        check.wrong(lacking, "qid", label.take(pa.array(lacking)), "no qid: after this label, as the first line has")
        is_pair[second[has_qid]] = False
    line = np.repeat(np.arange(len(lengths)), lengths)[is_pair]
    cut = _cut_pairs(flat.filter(pa.array(is_pair)), line, parts, check)
    dirty = np.flatnonzero(pc.match_substring(lines.text, MARK).to_numpy(zero_copy_only=False))
    check.wrong(dirty, None, lines.text.take(pa.array(dirty)), "is not valid UTF-8")
    good = check.good()
    keep = pa.array(good)
    qids = pc.utf8_slice_codeunits(flat.take(pa.array(second)), 4).filter(keep) if qid else None
    of_good = good[cut.line]
    position = np.cumsum(good) - 1
    mask = pa.array(of_good)
    return Pairs(
        lines.row[good],
        label.filter(keep),
        qids,
        position[cut.line[of_good]],
        None if cut.field is None else cut.field.filter(mask),
        cut.index.filter(mask),
        cut.value.filter(mask),
        check.bad(),
    )


class _Cut(NamedTuple):
    line: np.ndarray
    field: pa.Array | None
    index: pa.Array
    value: pa.Array


def _cut_pairs(pairs: pa.Array, line: np.ndarray, parts: int, check: _Check) -> _Cut:
    """`pairs` [m] cut at colons; those that cannot be are left out and their lines noted in `check`."""
    form = "index:value" if parts == 2 else "field:index:value"
    pieces = pc.split_pattern(pairs, ":")
    fits = pc.equal(pc.list_value_length(pieces), parts).to_numpy(zero_copy_only=False)
    check.wrong(line[~fits], None, pairs.filter(pa.array(~fits)), f"is not {form}")
    line, pairs = line[fits], pairs.filter(pa.array(fits))
    flat = pieces.filter(pa.array(fits)).flatten()
    columns = [flat.take(pa.array(np.arange(i, len(flat), parts))) for i in range(parts)]
    for names in columns[:-1]:
        empty = pc.equal(pc.binary_length(names), 0).to_numpy(zero_copy_only=False)
        check.wrong(line[empty], None, pairs.filter(pa.array(empty)), f"is not {form}")
    value, not_number = parse_floats(columns[-1])
    check.wrong(line[not_number], None, pairs.take(pa.array(not_number)), "has a value that is not a number")
    return _Cut(line, columns[0] if parts == 3 else None, columns[-2], value)
