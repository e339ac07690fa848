"""Interactions as lists, `user item item ...`: a line a user, as the files of retrieval benchmarks have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.readers.reader import BadRow, Piece, Reader
from clickwise.data.readers.sparse_lines import read_lines
from clickwise.data.readers.text_stream import MARK, TextStream, unmarked

_ITEMS_TO_A_LINE = 16


class ItemListReader(Reader):
    """Columns `user` and `item` (text): a row for each item, numbered through the file. A user alone has no row.

    A `#` begins a comment, up to the end of the line. Columns are split at white space.
    """

    def __init__(self, batch_rows: int) -> None:
        self._lines = max(1, batch_rows // _ITEMS_TO_A_LINE)

    def columns(self, file: str) -> dict[str, pa.DataType]:
        """The same for every file."""
        TextStream(file).close()  # refuses an empty file
        return {"user": pa.string(), "item": pa.string()}

    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The items of `file`, with their users."""
        done = 0
        for lines in read_lines(file, self._lines):
            cells = pc.utf8_split_whitespace(lines.text)
            start = cells.offsets.to_numpy()
            cells, start = cells.flatten(), start - start[0]
            is_item = np.ones(len(cells), bool)
            is_item[start[:-1]] = False
            items = np.diff(start) - 1
            found = {
                "user": cells.take(pa.array(np.repeat(start[:-1], items))),
                "item": cells.filter(pa.array(is_item)),
            }
            row = np.arange(done + 1, done + 1 + len(found["item"]), dtype=np.int64)
            asked = {name: found[name] for name in columns}
            data = pa.RecordBatch.from_arrays(list(asked.values()), names=list(asked))
            yield Piece(data, row, []).without(_not_utf8(asked, row))
            done += len(row)


def _not_utf8(found: dict[str, pa.Array], row: np.ndarray) -> list[BadRow]:
    bad = []
    for name, column in found.items():
        marked = pc.match_substring(column, MARK).to_numpy(zero_copy_only=False)
        for at in np.flatnonzero(marked).tolist():
            text = unmarked(column[at].as_py())
            bad.append(BadRow(int(row[at]), "is not valid UTF-8", name, text, text))
    return bad
