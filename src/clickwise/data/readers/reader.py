"""What a file format must offer: names, types, and pieces of rows with their numbers and the rows that are bad."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.data.source import Quarantine
from clickwise.errors import ClickwiseError, DataError


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read: its 1-based number, why, and where and what when that is known."""

    row: int
    reason: str
    column: str | None = None
    value: str | None = None
    text: str | None = None


class Piece(NamedTuple):
    """Rows of one file: the data, the number of each row [n] int64, and the bad rows met on the way.

    Types are plain (`clickwise.data.plain`) and all text is valid UTF-8.
    """

    data: pa.RecordBatch
    row: np.ndarray
    bad: list[BadRow]

    def without(self, bad: list[BadRow]) -> Piece:
        """The piece with more of its rows found bad; one entry a row is kept."""
        if not bad:
            return self
        by_row = {entry.row: entry for entry in reversed(bad)}
        good = ~np.isin(self.row, np.fromiter(by_row, np.int64))
        merged = sorted([*self.bad, *by_row.values()], key=lambda entry: entry.row)
        return Piece(self.data.filter(pa.array(good)), self.row[good], merged)


class Reader(ABC):
    """Reads the files of one format."""

    @abstractmethod
    def columns(self, file: str) -> dict[str, pa.DataType]:
        """Names and plain types of the columns of `file`.

        Raises:
            DataError: missing or empty file, no header, a column twice.
        """

    @abstractmethod
    def pieces(self, file: str, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows of `file` in order, in bounded pieces, with at least these `columns` (one or more).

        Raises:
            DataError: the file cannot be read any further.
        """

    def num_rows(self, file: str) -> int | None:
        """Rows of `file`, where that is known without reading them."""
        return None

    def estimated_rows(self, file: str) -> int | None:
        """A guess for progress bars."""
        return self.num_rows(file)


def hand_over(bad: Sequence[BadRow], file: str, quarantine: Quarantine | None) -> None:
    """Give bad rows to the quarantine, if there is one."""
    if quarantine is not None:
        for entry in bad:
            quarantine.add(
                file=file,
                row=entry.row,
                column=entry.column,
                value=entry.value,
                reason=entry.reason,
                text=entry.text,
            )


@contextmanager
def reading(file: str, what: str) -> Iterator[None]:
    """Turn what Arrow and the operating system say about a file into one line."""
    try:
        yield
    except ClickwiseError:
        raise
    except FileNotFoundError:
        raise DataError("no such file", file=file) from None
    except PermissionError:
        raise DataError("may not be read", file=file, fix="check its permissions") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise DataError(f"cannot be read as {what}: {said}", file=file, fix="check data.format and the file") from error


RENAME = "rename one of the two"


def unique_names(names: Sequence[str], file: str, fix: str = RENAME) -> list[str]:
    """`names` as a list.

    Raises:
        DataError: one of them appears twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError("the column appears twice", file=file, column=name, fix=fix)
        seen.add(name)
    return list(names)
