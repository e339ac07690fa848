"""Which format a file has, and the reader for it."""

from __future__ import annotations

import io
import os
import re

from clickwise.data.config import DataConfig
from clickwise.data.presets import PRESETS, preset
from clickwise.data.readers.columnar import ArrowReader, ParquetReader
from clickwise.data.readers.delimited import DelimitedReader
from clickwise.data.readers.item_lists import ItemListReader
from clickwise.data.readers.layout import TextOptions, split_typed
from clickwise.data.readers.reader import Reader, reading
from clickwise.data.readers.sparse_text import LibffmReader, LibsvmReader
from clickwise.data.readers.text_stream import TextStream
from clickwise.data.readers.typed_tsv import TypedTsvReader

_PACKED = (".gz", ".gzip", ".zst", ".zstd")
_BY_NAME = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".arrow": "arrow",
    ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow", ".libsvm": "libsvm", ".svm": "libsvm",
    ".svmlight": "libsvm", ".libfm": "libfm", ".fm": "libfm", ".libffm": "libffm", ".ffm": "libffm",
    ".inter": "typed_tsv", ".user": "typed_tsv", ".item": "typed_tsv", ".kg": "typed_tsv", ".net": "typed_tsv",
}  # fmt: skip
_SPARSE = re.compile(r"[-+\d.eE]+(\s+qid:\S+)?((?:\s+[^\s:]+:[^\s:]+)+|(?:\s+[^\s:]+:[^\s:]+:[^\s:]+)+)\s*(#.*)?")


def format_by_name(file: str) -> str | None:
    """The format that the name of `file` says; None when it says nothing.

    >>> format_by_name("logs/day1.csv.gz"), format_by_name("README.md")
    ('csv', None)
    """
    stem, ending = os.path.splitext(file.lower())
    if ending in _PACKED:
        ending = os.path.splitext(stem)[1]
    return _BY_NAME.get(ending)


def format_of(file: str) -> str:
    """The format of `file`, by its first bytes, then its name, then its first line.

    Raises:
        DataError: missing or empty file.
    """
    with reading(file, "a file"), open(file, "rb") as opened:
        magic = opened.read(8)
    if magic.startswith(b"PAR1"):
        return "parquet"
    if magic.startswith((b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")):
        return "arrow"
    by_name = format_by_name(file)
    if by_name not in (None, "typed_tsv", "tsv"):
        return str(by_name)
    with TextStream(file) as stream:
        head = stream.read(1 << 16).decode("utf-8", errors="ignore")
    line = next((line for line in io.StringIO(head) if line.strip() and not line.startswith("#")), "").rstrip("\r\n")
    if all(split_typed(cell) for cell in line.split("\t")):
        return "typed_tsv"
    sparse = _SPARSE.fullmatch(line)
    if sparse and "\t" not in line.rstrip():
        return "libffm" if sparse[2].split()[0].count(":") == 2 else "libsvm"
    return "tsv" if "\t" in line else "csv"


def make_reader(kind: str, first_file: str, config: DataConfig) -> Reader:
    """The reader of format `kind`; some formats learn their columns from `first_file`."""
    if kind == "parquet":
        return ParquetReader(config.batch_rows)
    if kind == "arrow":
        return ArrowReader(config.batch_rows)
    if kind in ("libsvm", "libfm"):
        return LibsvmReader(first_file, config.batch_rows)
    if kind == "libffm":
        return LibffmReader(first_file, config.batch_rows)
    if kind == "item_lists":
        return ItemListReader(config.batch_rows)
    if kind == "typed_tsv":
        return TypedTsvReader(config.null_values)
    return DelimitedReader(_text_options(kind, config))


def _text_options(kind: str, config: DataConfig) -> TextOptions:
    """What the config says, where it says nothing what the preset says, and else what the format says."""
    if kind not in PRESETS:
        return TextOptions(
            delimiter=config.delimiter or ("\t" if kind == "tsv" else None),
            header=config.header,
            names=config.names,
            null_values=config.null_values,
            strip=bool(config.strip),
        )
    known = preset(kind)
    return TextOptions(
        delimiter=config.delimiter or known.delimiter,
        header=known.header if config.header is None else config.header,
        names=config.names,
        known_names=known.names,
        optional=known.optional,
        null_values=(*config.null_values, *known.null_values),
        strip=known.strip if config.strip is None else config.strip,
        quote=known.quote,
    )
