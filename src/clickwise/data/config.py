"""`DataConfig`: how raw rows are read, split and cached. The `[data]` section of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clickwise.config import require

Format = Literal[
    "auto",
    "parquet",
    "csv",
    "tsv",
    "arrow",
    "libsvm",
    "libfm",
    "libffm",
    "typed_tsv",
    "item_lists",
    "criteo",
    "avazu",
    "kdd12",
    "adult",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class SideTable:
    """Columns that rows of the log get by an id: of the user, of the item.

    Args:
        file: a path, pattern or folder of any format; its rows are held in memory.
        on: the column of the log that has the id.
        key: the column of the table that has it, each value once; empty: the same name.
    """

    file: str
    on: str
    key: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """How to read and split the rows.

    Args:
        format: what the files are; "auto" goes by name and content. The last four are presets: a public data set with
            its column names and schema.
        header: whether text files begin with a line of column names; None looks at the first line: it is a header
            when all its cells are there (the first may be empty, as pandas writes its index), each once, and none
            looks like a number.
        names: column names for text files without a header (`f0`, `f1`, ... when none are given); with
            `header = true` they replace the names in the header.
        delimiter: the one character between cells; None: a tab for tsv, for csv the one of `, tab ; |` that
            cuts the first line into most cells.
        null_values: cells of text files that mean "missing"; a preset may add some.
        strip: cut spaces around the cells of text files; None: where the preset says so.
        batch_rows: most rows in a block, which bounds the memory of reading.
        max_bad_fraction: share of unreadable rows, from 0 to 1, above which a run fails.
        quarantine: file (JSON lines) that takes the unreadable rows; None: the caller chooses.
        cache_dir: folder for encoded data sets, for remembered fingerprints and for streams that can be read only
            once; None: the caller chooses, such streams go to the system's temporary folder.
        valid_fraction: share of the rows held out for validation, in [0, 1).
        test_fraction: share of the rows held out for testing, in [0, 1).
        split_seed: seed of the hash that splits rows when there is no time column.
        sample_rows: rows looked at to infer a schema.
        tables: side tables, whose columns every row gets.

    Raises:
        ConfigError: a value out of range.
    """

    format: Format = "auto"
    header: bool | None = None
    names: tuple[str, ...] = ()
    delimiter: str | None = None
    null_values: tuple[str, ...] = ("", "\\N")
    strip: bool | None = None
    batch_rows: int = 65_536
    max_bad_fraction: float = 0.01
    quarantine: str | None = None
    cache_dir: str | None = None
    valid_fraction: float = 0.1
    test_fraction: float = 0.0
    split_seed: int = 0
    sample_rows: int = 100_000
    tables: tuple[SideTable, ...] = ()

    def __post_init__(self) -> None:
        for name in self.names:
            require(bool(name) and self.names.count(name) == 1, "names", name, "each name once and not empty")
        if self.delimiter is not None:
            one_byte = len(self.delimiter) == 1 and self.delimiter.isascii() and self.delimiter not in '\r\n"'
            require(one_byte, "delimiter", self.delimiter, "one ASCII character, not a quote or a line end")
        require(self.batch_rows >= 1, "batch_rows", self.batch_rows, "a whole number from 1")
        require(0 <= self.max_bad_fraction <= 1, "max_bad_fraction", self.max_bad_fraction, "a number from 0 to 1")
        require(0 <= self.valid_fraction < 1, "valid_fraction", self.valid_fraction, "a number in [0, 1)")
        require(0 <= self.test_fraction < 1, "test_fraction", self.test_fraction, "a number in [0, 1)")
        held_out = self.valid_fraction + self.test_fraction
        require(held_out < 1, "test_fraction", self.test_fraction, "less than 1 together with valid_fraction")
        require(self.split_seed >= 0, "split_seed", self.split_seed, "a whole number from 0")
        require(self.sample_rows >= 1, "sample_rows", self.sample_rows, "a whole number from 1")
