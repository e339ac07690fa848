"""CSV and TSV. Every column is text, so that a type never depends on which rows happen to come first."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from clickwise.data.readers.arrow_csv import csv_batches
from clickwise.data.readers.layout import Layout, TextOptions, read_layout
from clickwise.data.readers.reader import BadRow, Piece, Reader
from clickwise.data.readers.text_stream import MARK, TextStream, estimated_lines, unmarked
from clickwise.errors import DataError, clipped
from clickwise.native.lines import LineCutter, compiled

_BLOCK_BYTES = 1 << 22
_MOST_PENDING = 100_000
_LONGEST_HEADER = 1 << 20


class DelimitedReader(Reader):
    """Reads delimited text: lines without quotes with the kernels, from the first quote on with Arrow's CSV parser.

    Both work in one thread, so that bad rows come with their true numbers.

    A row is a record: a line end inside quotes does not begin a new one, and empty lines are none. Rows are bad when
    they have a wrong number of cells, or bytes that are not UTF-8 in one of the columns asked for.
    """

    def __init__(self, options: TextOptions, block_bytes: int = _BLOCK_BYTES) -> None:
        self.options = options
        self._block_bytes = block_bytes
        self._layouts: dict[str, Layout] = {}

    def layout(self, file: str) -> Layout:
        """What the first line of `file` says."""
        if file not in self._layouts:
            self._layouts[file] = read_layout(file, self.options)
        return self._layouts[file]

    def columns(self, file: str) -> dict[str, pa.DataType]:
        """The names in the header, or those given, each of them text."""
        return dict.fromkeys(self.layout(file).names, pa.string())

    def estimated_rows(self, file: str) -> int | None:
        """From the length of the first lines; None for a compressed file."""
        lines = estimated_lines(file)
        return None if lines is None else max(lines - self.layout(file).header, 0)

    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows of `file`.

        Raises:
            DataError: a quote that is never closed, a row longer than a block, damaged compression.
        """
        layout = self.layout(file)
        if not layout.has_rows:
            return
        bad = _BadLines(file, layout)
        with TextStream(file) as stream:
            header = yield from self._cut(stream, layout, columns, bad)
            last = yield from self._parsed(stream, layout, columns, bad, header)
            skipped = bad.rest()
            if stream.quotes % 2 and self.options.quote:
                _refuse_open_quote(file, bad.next_row, skipped, last)
            if skipped:
                empty = pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in columns]))
                yield Piece(empty, np.empty(0, np.int64), skipped)

    def _cut(
        self, stream: TextStream, layout: Layout, columns: Sequence[str], bad: _BadLines
    ) -> Generator[Piece, None, bool]:
        """The rows before the first quote or odd line end, by the kernels. Gives whether the header is yet to come."""
        header, delimiter, names = layout.header, layout.delimiter.encode(), list(layout.names)
        if not compiled() or len(delimiter) != 1 or delimiter in b'"\r\n':
            return header
        nulls = () if self.options.strip else self.options.null_values
        cutter = LineCutter(len(names), [names.index(name) for name in columns], delimiter, self.options.quote, nulls)
        while text := stream.lines(self._block_bytes):
            first = _header_bytes(text) if header else 0
            if header and not first:
                stream.give_back(text)
                break
            header, text = False, text[first:]
            cut = cutter.cut(text)
            stream.give_back(text[cut.consumed :])
            if not cut.consumed and not first:
                break
            bad.begin(header=False)
            for line in cut.bad:
                whole = str(text[line.begin : line.end], "utf-8")
                if bad.take(pacsv.InvalidRow(len(names), line.cells, line.before + 1, whole)) == "error":
                    raise self._explained(pa.ArrowInvalid(whole), stream.file, bad)
            if cut.columns and len(cut.columns[0]):
                yield self._piece(pa.RecordBatch.from_arrays(cut.columns, names=list(columns)), bad, stream, layout)
        return header

    def _parsed(
        self, stream: TextStream, layout: Layout, columns: Sequence[str], bad: _BadLines, header: bool
    ) -> Generator[Piece, None, pa.RecordBatch | None]:
        """The rows that are left, by Arrow. Gives the last batch that has any."""
        last: pa.RecordBatch | None = None
        if stream.at_end():
            return last
        bad.begin(header=header)
        with closing(self._batches(stream, layout, columns, bad, header)) as batches:
            for data in batches:
                last = data if data.num_rows else last
                yield self._piece(data, bad, stream, layout)
        return last

    def _batches(
        self, stream: TextStream, layout: Layout, columns: Sequence[str], bad: _BadLines, header: bool
    ) -> Generator[pa.RecordBatch, None, None]:
        options = self.options
        try:
            yield from csv_batches(
                stream,
                read_options=pacsv.ReadOptions(
                    use_threads=False,
                    block_size=self._block_bytes,
                    column_names=list(layout.names),
                    skip_rows_after_names=int(header),
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=layout.delimiter,
                    quote_char='"' if options.quote else False,
                    newlines_in_values=options.quote,
                    invalid_row_handler=bad.take,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    include_columns=list(columns),
                    check_utf8=False,
                    strings_can_be_null=not options.strip,
                    null_values=list(options.null_values),
                ),
            )
        except pa.ArrowException as error:
            raise self._explained(error, stream.file, bad) from None

    def _explained(self, error: pa.ArrowException, file: str, bad: _BadLines) -> DataError:
        if bad.refused:
            return DataError(
                f"{_MOST_PENDING:,} rows in a row do not have {len(bad.layout.names)} cells; the first: "
                f"{bad.pending[0].reason}",
                file=file,
                row=bad.pending[0].row,
                value=bad.pending[0].text,
                fix="check data.format and data.delimiter",
            )
        if "straddl" in str(error) or "out of sync" in str(error):
            return DataError(
                f"a row after row {bad.next_row - 1:,} is longer than {self._block_bytes:,} bytes",
                file=file,
                fix="close the quote that was left open there, or give data.format = 'tsv' or a delimiter that fits",
            )
        said = " ".join(unmarked(str(error)).removeprefix("Invalid: ").split())
        return DataError(f"cannot be read after row {bad.next_row - 1:,}: {said}", file=file)

    def _piece(self, data: pa.RecordBatch, bad: _BadLines, stream: TextStream, layout: Layout) -> Piece:
        """The good rows that a parser gave, numbered, with the bad ones among them."""
        row, skipped = bad.number(data.num_rows)
        return self._cleaned(Piece(data, row, skipped), stream.dirty, layout.delimiter)

    def _cleaned(self, piece: Piece, dirty: bool, delimiter: str) -> Piece:
        """The piece with cells stripped where asked, and without rows that hold marked bytes."""
        data, bad = piece.data, []
        if dirty:
            for name, column in zip(data.schema.names, data.columns, strict=True):
                hits = pc.match_substring(column, MARK).fill_null(False).to_numpy(zero_copy_only=False)
                for position in np.flatnonzero(hits):
                    cells = (column[position].as_py() or "" for column in data.columns)
                    text = unmarked(delimiter.join(cells))
                    value = unmarked(column[position].as_py())
                    bad.append(BadRow(int(piece.row[position]), "is not valid UTF-8", name, value, text))
        if self.options.strip:
            nulls = pa.array(self.options.null_values, pa.string())
            data = pa.RecordBatch.from_arrays([_stripped(c, nulls) for c in data.columns], names=data.schema.names)
        return Piece(data, piece.row, piece.bad).without(bad)


class _BadLines:
    """Takes the malformed rows that a parser meets (Arrow's reads ahead) and numbers the good ones around them."""

    def __init__(self, file: str, layout: Layout) -> None:
        self.file = file
        self.layout = layout
        self.pending: list[BadRow] = []
        self.next_row = 1
        self.refused = False
        self._before = 0

    def begin(self, *, header: bool) -> None:
        """A parser begins, whose first row has number 1, with the header if that is yet to come."""
        self._before = self.next_row - 1 + len(self.pending) - header

    def take(self, row: pacsv.InvalidRow) -> str:
        """Called for each row with a wrong number of cells."""
        if len(self.pending) >= _MOST_PENDING:
            self.refused = True
            return "error"
        number = int(row.number) + self._before
        lines = row.text.count("\n") + 1
        over = f" over {lines:,} lines (is a quote left open?)" if lines > 1 else ""
        reason = f"has {row.actual_columns} cells{over}, expected {row.expected_columns}"
        self.pending.append(BadRow(number, reason, text=unmarked(row.text[:2000])))
        return "skip"

    def number(self, rows: int) -> tuple[np.ndarray, list[BadRow]]:
        """The numbers of the next `rows` good rows, and the bad ones among and before them."""
        at = np.array([entry.row for entry in self.pending], np.int64)
        skipped, before = -1, 0
        while skipped != before:
            skipped, before = before, int(np.searchsorted(at, self.next_row + rows + before, side="left"))
        span = np.arange(self.next_row, self.next_row + rows + skipped, dtype=np.int64)
        used, self.pending = self.pending[:skipped], self.pending[skipped:]
        self.next_row += rows + skipped
        if not skipped:
            return span, used
        return np.setdiff1d(span, at[:skipped], assume_unique=True), used

    def rest(self) -> list[BadRow]:
        """The bad rows after the last good one."""
        used, self.pending = self.pending, []
        self.next_row += len(used)
        return used


def _refuse_open_quote(file: str, next_row: int, skipped: list[BadRow], last: pa.RecordBatch | None) -> None:
    """Fail when the last row runs over several lines and the file has an odd number of quotes: it ate what follows."""
    if skipped and skipped[-1].row == next_row - 1:
        text = skipped[-1].text or ""
    else:
        cells = [] if last is None else [column[-1].as_py() or "" for column in last.columns]
        text = next((cell for cell in cells if "\n" in cell), "")
    if "\n" in text:
        raise DataError(
            "a quote is opened and never closed, so the rest of the file is one cell",
            file=file,
            row=next_row - 1,
            fix=f"close the quote before {clipped(text, 40)}",
        )


def _header_bytes(text: memoryview) -> int:
    """How long the first line is; 0 where it is empty, longer than a header, or not to be cut without a parser."""
    head = bytes(text[:_LONGEST_HEADER])
    end = head.find(b"\n") + 1
    line = head[:end].removesuffix(b"\n").removesuffix(b"\r")
    return end if line and b'"' not in line and b"\r" not in line else 0


def _stripped(column: pa.Array, nulls: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(trimmed, nulls), pa.scalar(None, pa.string()), trimmed)
