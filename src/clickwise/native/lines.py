"""Delimited text cut into cells and laid out as Arrow's columns of text, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.native import Tier, kernels, tier

_MOST_BAD = 1000
_LINE = 64  # columns begin at multiples of so many bytes


class BadLine(NamedTuple):
    """A line with a wrong number of cells.

    Args:
        before: lines before it, empty ones not counted.
        begin, end: where it is in the text, without its line end.
        cells: how many it has.
    """

    before: int
    begin: int
    end: int
    cells: int


class Cut(NamedTuple):
    """What became of a text.

    Args:
        consumed: bytes of it that were cut: whole lines.
        columns: of those asked for, the cells of the good lines.
        bad: lines with a wrong number of cells; empty lines are none.
    """

    consumed: int
    columns: list[pa.StringArray]
    bad: list[BadLine]


def compiled() -> bool:
    """Whether there is a `LineCutter`."""
    return tier() > Tier.TORCH


class LineCutter:
    """Cuts lines of text into cells. Not for several threads at once; lets other Python threads run.

    Args:
        cells: of a good line.
        wanted: numbers of the cells to make columns of, in their order.
        delimiter: one byte between cells, no line end.
        quotes: whether a double quote means anything: then text is cut only up to a line with one.
        nulls: the texts that mean null.
    """

    def __init__(self, cells: int, wanted: Sequence[int], delimiter: bytes, quotes: bool, nulls: Sequence[str]) -> None:
        self._cutter = kernels().LineCutter(cells)
        self._cells, self._wanted = cells, np.array(wanted, np.int32)
        self._delimiter, self._quotes = delimiter[0], quotes
        texts = [text.encode() for text in nulls]
        self._nulls = np.frombuffer(b"".join(texts), np.uint8)
        self._ends = np.cumsum([len(text) for text in texts], dtype=np.int32)

    def cut(self, text: memoryview) -> Cut:
        """Cut `text`, whole lines each ended by a line feed, as far as it can be told: perhaps not to its end."""
        data = np.frombuffer(text, np.uint8)
        bad = np.empty((_MOST_BAD, 4), np.int32)
        consumed, rows, num_bad = self._cutter.cut(data, self._delimiter, self._quotes, bad)
        columns = self._columns(data, rows)
        return Cut(consumed, columns, [BadLine(*line) for line in bad[:num_bad].tolist()])

    def _columns(self, data: np.ndarray, rows: int) -> list[pa.StringArray]:
        sizes, count = np.empty(self._cells, np.int64), len(self._wanted)
        self._cutter.sizes(sizes)
        room = -(-(sizes[self._wanted] + kernels().line_slack) // _LINE) * _LINE
        starts = np.concatenate([[0], np.cumsum(room)])
        offsets = np.empty((count, -(-(rows + 1) // _LINE) * _LINE), np.int32)
        validity = np.empty((count, -(-rows // _LINE) * 8), np.uint8)
        content, nulls = np.empty(starts[-1], np.uint8), np.empty(count, np.int64)
        self._cutter.fill(data, self._wanted, self._nulls, self._ends, starts, offsets, validity, content, nulls)
        text = pa.py_buffer(content)
        return [
            pa.StringArray.from_buffers(rows, ends, text.slice(start, size), bits if missing else None, missing)
            for ends, bits, start, size, missing in zip(
                _row_buffers(offsets),
                _row_buffers(validity),
                starts[:-1].tolist(),
                room.tolist(),
                nulls.tolist(),
                strict=True,
            )
        ]


def _row_buffers(array: np.ndarray) -> list[pa.Buffer]:
    """The memory of each row."""
    whole, size = pa.py_buffer(array), array.strides[0]
    return [whole.slice(row * size, size) for row in range(len(array))]
