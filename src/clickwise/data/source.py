"""`Source`: anything rows can be read from, again and again, in bounded pieces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clickwise.features.arrays import nulls_but


@dataclass(frozen=True, slots=True)
class Block:
    """A bounded piece of a source.

    Args:
        data: the rows.
        file: the file (or a name for what is not a file) they come from.
        file_index: position of that file in the source.
        row: [n] int64, 1-based number of each data row inside its file. Unreadable rows leave gaps.
    """

    data: pa.RecordBatch
    file: str
    file_index: int
    row: np.ndarray

    def __len__(self) -> int:
        return self.data.num_rows

    def keep(self, mask: np.ndarray) -> Block:
        """The rows where `mask` [n] is true."""
        return Block(self.data.filter(pa.array(mask)), self.file, self.file_index, self.row[mask])

    def blank(self, mask: np.ndarray) -> Block:
        """The same rows, those where `mask` [n] is false with nothing but nulls; text and numbers are not copied."""
        data = pa.RecordBatch.from_arrays(
            [nulls_but(column, mask) for column in self.data.columns], self.data.schema.names
        )
        return Block(data, self.file, self.file_index, self.row)


class Source(ABC):
    """A re-readable stream of blocks. Every pass gives the same rows in the same order with the same numbers."""

    name: str
    """What to call it in messages: a path, a pattern, 'frame'."""

    @abstractmethod
    def columns(self) -> dict[str, pa.DataType]:
        """Names and types of the columns. Text formats give `string` for all of them.

        Raises:
            DataError: missing or empty file, no header, a column twice.
        """

    @abstractmethod
    def blocks(
        self, columns: Sequence[str] | None = None, quarantine: Quarantine | None = None
    ) -> Generator[Block, None, None]:
        """The rows, in order, blocks of at most `batch_rows` rows, only `columns` (all when None).

        Whoever stops before the end closes the generator, which closes the file.

        Rows that cannot be read are left out and handed to `quarantine` (counted nowhere when it is None).

        Raises:
            DataError: the file cannot be read any further (truncated gzip, not Parquet, ...), or a column is missing.
        """

    @abstractmethod
    def fingerprint(self) -> str | None:
        """A hex digest of the content; None when it has no lasting identity (a frame, a query)."""

    def num_rows(self) -> int | None:
        """Rows in all, where that is known without reading them; else None."""
        return None

    def estimated_rows(self) -> int | None:
        """A guess for progress bars."""
        return self.num_rows()


class Quarantine(ABC):
    """Takes the rows that cannot be read."""

    @abstractmethod
    def add(self, *, file: str, row: int, column: str | None, value: str | None, reason: str, text: str | None) -> None:
        """One bad row: where it stands, why it is bad, and its raw text where there is one."""
