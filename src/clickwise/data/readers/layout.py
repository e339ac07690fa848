"""The shape of a delimited text file, from its first line: delimiter, header or not, names, declared types."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from clickwise.data.readers.reader import RENAME, unique_names
from clickwise.data.readers.text_stream import MARK, TextStream, unmarked
from clickwise.errors import DataError, clipped

_HEAD_BYTES = 1 << 20
_NUMBER = re.compile(r"\s*[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")  # `inf` and `nan` can be names
_TYPED = re.compile(r"(.+):(token|token_seq|float|float_seq)")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOptions:
    """How a delimited text file is to be understood.

    Args:
        delimiter: the character between cells; None: found in the first line.
        header: whether there is a line of names; None: decided from the first line (see `looks_like_header`).
        names: names where there is no header, or instead of those in it when `header` is true.
        optional: leading names that a file may lack, such as the label of a test file.
        known_names: names of a preset: used where there is no header, never against one.
        null_values: cells that mean "missing".
        strip: cut spaces around cells.
        quote: whether double quotes around a cell are honoured.
        typed: the header says `name:type`.
    """

    delimiter: str | None = None
    header: bool | None = None
    names: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    known_names: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ("",)
    strip: bool = False
    quote: bool = True
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What the first line of a file says. `types` are those of a typed header; else empty."""

    delimiter: str
    header: bool
    names: tuple[str, ...]
    types: tuple[str, ...]
    has_rows: bool


def read_layout(file: str, options: TextOptions) -> Layout:
    """Look at the beginning of `file`.

    Raises:
        DataError: missing or empty file, a header that is not UTF-8, names that are twice or do not fit.
    """
    with TextStream(file) as stream:
        head = stream.read(_HEAD_BYTES).decode("utf-8", errors="ignore")
    first_line = next((line for line in io.StringIO(head) if line.strip()), "")
    if not first_line:
        raise DataError("the file is empty", file=file)
    delimiter = options.delimiter or sniff_delimiter(first_line)
    lines = io.StringIO(head, newline="")
    cells = _first_record(lines, delimiter, options, file)
    if options.strip:
        cells = [cell.strip() for cell in cells]
    header = _has_header(cells, options)
    if header and any(MARK in cell for cell in cells):
        raise DataError("the header is not valid UTF-8", file=file, value=unmarked(first_line))
    types: tuple[str, ...] = ()
    if options.typed:
        cells, types = _typed_names(cells, file)
    names = _names(cells, header, options, file)
    rest = lines.read() if header else first_line
    guessed = header and options.header is None and not options.typed
    fix = RENAME + (", or give data.header = false if the first line is a row" if guessed else "")
    return Layout(delimiter, header, tuple(unique_names(names, file, fix)), types, bool(rest.strip("\r\n")))


def sniff_delimiter(line: str) -> str:
    """The one of `, tab ; |` that cuts `line` into most cells; a comma when none does.

    >>> sniff_delimiter('a;"x, y, z";b')
    ';'
    """
    unquoted = re.sub(r'"[^"]*"', "", line)
    return max(",\t;|", key=unquoted.count)


def looks_like_header(cells: list[str]) -> bool:
    """Whether every cell is there (the first may be empty), and does not look like a number.

    >>> looks_like_header(["", "user", "click"]), looks_like_header(["1", "user", "click"])
    (True, False)
    """
    named = cells[1:] if len(cells) > 1 and not cells[0].strip() else cells
    return all(cell.strip() and not _NUMBER.fullmatch(cell) for cell in named)


def split_typed(cell: str) -> tuple[str, str] | None:
    """Name and type of a `name:type` header cell; None when it is not one."""
    match = _TYPED.fullmatch(cell.strip())
    return (match[1], match[2]) if match else None


def _first_record(lines: io.StringIO, delimiter: str, options: TextOptions, file: str) -> list[str]:
    if not options.quote:
        return next(line for line in lines if line.strip("\r\n")).rstrip("\r\n").split(delimiter)
    try:
        return next(record for record in csv.reader(lines, delimiter=delimiter) if record)
    except csv.Error as error:
        raise DataError(f"the first line cannot be cut into cells: {error}", file=file) from None


def _has_header(cells: list[str], options: TextOptions) -> bool:
    if options.typed:
        return True
    if options.header is not None:
        return options.header
    if options.names:
        return cells == list(options.names)
    return looks_like_header(cells)


def _typed_names(cells: list[str], file: str) -> tuple[list[str], tuple[str, ...]]:
    pairs = []
    for cell in cells:
        pair = split_typed(cell)
        if pair is None:
            raise DataError(
                f"the header cell {clipped(cell)} is not name:type with type token, token_seq, float or float_seq",
                file=file,
                fix="give data.format = 'tsv' if it has no types",
            )
        pairs.append(pair)
    return [name for name, _ in pairs], tuple(kind for _, kind in pairs)


def _names(cells: list[str], header: bool, options: TextOptions, file: str) -> list[str]:
    given = options.names or (() if header else options.known_names)
    if not given:
        return [cell if header and cell.strip() else f"f{i}" for i, cell in enumerate(cells)]
    for names in (given, tuple(name for name in given if name not in options.optional)):
        if len(names) == len(cells):
            return list(names)
    allowed = f"{len(given)}" + (f" or {len(given) - len(options.optional)}" if options.optional else "")
    raise DataError(
        f"the first line has {len(cells)} cells, expected {allowed}",
        file=file,
        row=None if header else 1,
        value=unmarked(options.delimiter or ",").join(cells),
        fix="check data.format, data.delimiter and data.names",
    )
