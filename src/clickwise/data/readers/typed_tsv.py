"""Typed TSV: a `name:type` header, as MovieLens "atomic files" have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.readers.delimited import DelimitedReader
from clickwise.data.readers.layout import TextOptions
from clickwise.data.readers.numbers import parse_floats
from clickwise.data.readers.reader import BadRow, Piece, Reader

_TYPES = {
    "token": pa.string(),
    "token_seq": pa.list_(pa.string()),
    "float": pa.float64(),
    "float_seq": pa.list_(pa.float64()),
}


class TypedTsvReader(Reader):
    """`token` is text, `float` a float64, `token_seq` and `float_seq` lists split at spaces. An empty cell is missing.

    A cell of a float column that is no number makes its row bad. Quotes have no meaning.
    """

    def __init__(self, null_values: tuple[str, ...] = ("",)) -> None:
        self._text = DelimitedReader(TextOptions(delimiter="\t", typed=True, quote=False, null_values=null_values))

    def columns(self, file: str) -> dict[str, pa.DataType]:
        """The declared names and types."""
        layout = self._text.layout(file)
        return {name: _TYPES[kind] for name, kind in zip(layout.names, layout.types, strict=True)}

    def estimated_rows(self, file: str) -> int | None:
        """From the length of the first lines; None for a compressed file."""
        return self._text.estimated_rows(file)

    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows of `file`, in the declared types."""
        types = self.columns(file)
        for piece in self._text.pieces(file, columns):
            arrays, bad = [], []
            for name in columns:
                array, wrong = _typed(piece.data.column(name), types[name])
                arrays.append(array)
                for position in wrong:
                    value = piece.data.column(name)[int(position)].as_py()
                    text = "\t".join(c[int(position)].as_py() or "" for c in piece.data.columns)
                    bad.append(BadRow(int(piece.row[position]), "is not a number", name, value, text))
            typed = Piece(pa.RecordBatch.from_arrays(arrays, names=list(columns)), piece.row, piece.bad)
            yield typed.without(bad)


def _typed(text: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """`text` as `kind`, and the positions of the rows that are not."""
    if kind == pa.string():
        return text, np.empty(0, np.int64)
    if kind == pa.float64():
        return parse_floats(text)
    lists = pc.split_pattern(pc.utf8_trim_whitespace(text), " ")
    if kind == pa.list_(pa.string()):
        return lists, np.empty(0, np.int64)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    numbers, wrong = parse_floats(lists.flatten())
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    row_of = np.repeat(np.arange(len(lists)), lengths)
    typed = pa.ListArray.from_arrays(offsets, numbers, mask=pc.is_null(lists))
    return typed, np.unique(row_of[wrong])
