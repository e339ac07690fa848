"""libsvm, libfm (`label index:value ...`) and libffm (`label field:index:value ...`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.readers.reader import BadRow, Piece, Reader
from clickwise.data.readers.sparse_lines import Lines, Pairs, cut_lines, read_lines
from clickwise.data.readers.text_stream import estimated_lines
from clickwise.errors import DataError

_TEXTS = pa.list_(pa.string())
_NUMBERS = pa.list_(pa.float32())
_FIELD_ROWS = 10_000


class LibsvmReader(Reader):
    """Columns `label` (text, a leading plus cut off), `features` (list of text), `values` (list of float32).

    `qid:...` after the label of the first line of the first file makes a column `qid` (text).
    A line with anything else that is not `index:value` is bad.
    """

    def __init__(self, first_file: str, batch_rows: int) -> None:
        self._first_file = first_file
        self._batch_rows = batch_rows
        self._qid: bool | None = None

    def columns(self, file: str) -> dict[str, pa.DataType]:
        """The same for every file."""
        _refuse_empty(file)
        return {"label": pa.string(), **self._qid_column(), "features": _TEXTS, "values": _NUMBERS}

    def estimated_rows(self, file: str) -> int | None:
        """From the length of the first lines; None for a compressed file."""
        return estimated_lines(file)

    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The lines of `file`."""
        qid = bool(self._qid_column())
        for lines in read_lines(file, self._batch_rows):
            pairs = cut_lines(lines, parts=2, qid=qid)
            offsets = _offsets(pairs.line, len(pairs.row))
            arrays = {
                "label": pairs.label,
                "qid": pairs.qid,
                "features": pa.ListArray.from_arrays(offsets, pairs.index),
                "values": pa.ListArray.from_arrays(offsets, pc.cast(pairs.value, pa.float32())),
            }
            data = pa.RecordBatch.from_arrays([arrays[name] for name in columns], names=list(columns))
            yield Piece(data, pairs.row, pairs.bad)

    def _qid_column(self) -> dict[str, pa.DataType]:
        if self._qid is None:
            self._qid = _has_qid(self._first_file)
        return {"qid": pa.string()} if self._qid else {}


class LibffmReader(Reader):
    """Columns `label` (text), and for each field `f<field>` (list of text) and `f<field>_values` (list of float32).

    The fields are those of the first 10,000 lines of the first file. A line with another field is bad.
    """

    def __init__(self, first_file: str, batch_rows: int) -> None:
        self._first_file = first_file
        self._batch_rows = batch_rows
        self._fields: list[str] = []

    def fields(self) -> list[str]:
        """The fields, in order of their numbers."""
        if not self._fields:
            seen: set[str] = set()
            for lines in read_lines(self._first_file, 1000):
                if lines.row[0] > _FIELD_ROWS:
                    break
                here = lines.row <= _FIELD_ROWS
                pairs = cut_lines(Lines(lines.text.filter(pa.array(here)), lines.row[here]), parts=3, qid=False)
                seen.update(pc.unique(pairs.field).to_pylist())
            numbered = all(name.isascii() and name.isdecimal() for name in seen)
            self._fields = sorted(seen, key=lambda name: (int(name) if numbered else 0, name))
            if not self._fields:
                raise DataError("has no field:index:value in its first lines", file=self._first_file, row=1)
        return self._fields

    def columns(self, file: str) -> dict[str, pa.DataType]:
        """The same for every file."""
        _refuse_empty(file)
        found: dict[str, pa.DataType] = {"label": pa.string()}
        for name in self.fields():
            found |= {f"f{name}": _TEXTS, f"f{name}_values": _NUMBERS}
        return found

    def estimated_rows(self, file: str) -> int | None:
        """From the length of the first lines; None for a compressed file."""
        return estimated_lines(file)

    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The lines of `file`."""
        for lines in read_lines(file, self._batch_rows):
            pairs = cut_lines(lines, parts=3, qid=False)
            yield self._piece(lines, pairs, columns)

    def _piece(self, lines: Lines, pairs: Pairs, columns: Sequence[str]) -> Piece:
        code = pc.index_in(pairs.field, pa.array(self.fields())).fill_null(-1).to_numpy()
        value = pc.cast(pairs.value, pa.float32())
        arrays = {"label": pairs.label}
        for number, name in enumerate(self.fields()):
            if f"f{name}" in columns or f"f{name}_values" in columns:
                at = np.flatnonzero(code == number)
                offsets = _offsets(pairs.line[at], len(pairs.row))
                arrays[f"f{name}"] = pa.ListArray.from_arrays(offsets, pairs.index.take(pa.array(at)))
                arrays[f"f{name}_values"] = pa.ListArray.from_arrays(offsets, value.take(pa.array(at)))
        data = pa.RecordBatch.from_arrays([arrays[name] for name in columns], names=list(columns))
        text_of = dict(zip(lines.row.tolist(), range(len(lines.row)), strict=True)) if (code < 0).any() else {}
        unknown = []
        for pair in np.flatnonzero(code < 0):
            row = int(pairs.row[pairs.line[pair]])
            text = lines.text[text_of[row]].as_py()
            reason = f"this field is in none of the first {_FIELD_ROWS:,} lines"
            unknown.append(BadRow(row, reason, None, pairs.field[int(pair)].as_py(), text))  # type: ignore[index]
        return Piece(data, pairs.row, pairs.bad).without(unknown)


def _offsets(line: np.ndarray, num_lines: int) -> pa.Array:
    """List offsets [num_lines + 1] from the sorted positions of the lines that own the items."""
    return pa.array(np.concatenate([[0], np.cumsum(np.bincount(line, minlength=num_lines))]), pa.int32())


def _refuse_empty(file: str) -> None:
    if next(read_lines(file, 1), None) is None:
        raise DataError("the file is empty", file=file)


def _has_qid(file: str) -> bool:
    first = next(read_lines(file, 1), None)
    words = first.text[0].as_py().split() if first else []
    return len(words) > 1 and words[1].startswith("qid:")
