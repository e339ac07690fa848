"""`DataConfig`: how raw rows are read, split and cached. The `[data]` section of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
        file: a path, pattern or folder; a relative one is looked for here, and then beside the log.
        on: the column of the log, or of a table before, that has the id.
        key: the column of the table that has it; empty: the same name.
        columns: what the log gets, by the name it has there: `{ genre = "class" }` gives it the table's `class` as
            `genre`. Empty: all columns but the key, under their own names.
        gather: a key may have many rows, and the log gets lists of their values, in the order of the table: the items
            of a user, say. Without it, each key has one row.
        format, header, names, delimiter: of the table's files, as those of `[data]` are of the log's.
    """

    file: str
    on: str
    key: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    gather: bool = False
    format: Format = "auto"
    header: bool | None = None
    names: tuple[str, ...] = ()
    delimiter: str | None = None

    def __post_init__(self) -> None:
        for key in ("file", "on"):
            require(getattr(self, key) != "", key, getattr(self, key), "text of at least one character")
        check_names(self.names)
        check_delimiter(self.delimiter)


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
        split: how rows are held out. "auto" goes by time where there is a time column, and else by a seeded hash of the
            row's place. "time" and "random" say which. "leave_last_out" tests on the last row of each user
            (`schema.group`) and validates on the one before, whatever the fractions.
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
    split: Literal["auto", "time", "random", "leave_last_out"] = "auto"
    tables: tuple[SideTable, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.names)
        check_delimiter(self.delimiter)
        require(self.batch_rows >= 1, "batch_rows", self.batch_rows, "a whole number from 1")
        require(0 <= self.max_bad_fraction <= 1, "max_bad_fraction", self.max_bad_fraction, "a number from 0 to 1")
        require(0 <= self.valid_fraction < 1, "valid_fraction", self.valid_fraction, "a number in [0, 1)")
        require(0 <= self.test_fraction < 1, "test_fraction", self.test_fraction, "a number in [0, 1)")
        held_out = self.valid_fraction + self.test_fraction
        require(held_out < 1, "test_fraction", self.test_fraction, "less than 1 together with valid_fraction")
        require(self.split_seed >= 0, "split_seed", self.split_seed, "a whole number from 0")
        require(self.sample_rows >= 1, "sample_rows", self.sample_rows, "a whole number from 1")
        splits = ("auto", "time", "random", "leave_last_out")
        require(self.split in splits, "split", self.split, ", ".join(splits))


def check_names(names: Sequence[str]) -> None:
    """Raises `ConfigError` unless each of the column names is there once and not empty."""
    for name in names:
        require(bool(name) and names.count(name) == 1, "names", name, "each name once and not empty")


def check_delimiter(delimiter: str | None) -> None:
    """Raises `ConfigError` unless it is one character that can stand between cells, or none."""
    if delimiter is not None:
        one_byte = len(delimiter) == 1 and delimiter.isascii() and delimiter not in '\r\n"'
        require(one_byte, "delimiter", delimiter, "one ASCII character, not a quote or a line end")
