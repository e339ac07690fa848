"""`QuarantineFile`: keeps the rows that cannot be read, with the reason, and fails a run that has too many of them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

from clickwise.atomic import whole_file
from clickwise.data.source import Quarantine
from clickwise.errors import ClickwiseError, DataError

_TEXT_LIMIT = 1000
_KEPT = 5


class QuarantineFile(Quarantine):
    """Bad rows as JSON lines `{file, row, column, value, reason, text}`; text is cut to 1,000 characters.

    The file appears whole, when closed, and only if there was a bad row. As a context manager it is closed at the end
    of the block, also by a user's mistake (the rows explain it); any other exception leaves no file.

    Args:
        path: where to write; None only counts.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.count = 0
        self.first: list[dict[str, str | int | None]] = []
        """The first few bad rows, for a summary."""
        self._files = ExitStack()
        self._out: IO[str] | None = None

    def add(self, *, file: str, row: int, column: str | None, value: str | None, reason: str, text: str | None) -> None:
        """One bad row: where it stands, why it is bad, and its raw text where there is one.

        Raises:
            DataError: the disk is full, or the folder cannot be written to.
        """
        clipped_text = None if text is None else text[:_TEXT_LIMIT]
        clipped_value = None if value is None else value[:_TEXT_LIMIT]
        record: dict[str, str | int | None] = {
            "file": file, "row": int(row), "column": column, "value": clipped_value, "reason": reason,
            "text": clipped_text,
        }  # fmt: skip
        self.count += 1
        if len(self.first) < _KEPT:
            self.first.append(record)
        if self.path is not None:
            if self._out is None:
                self._out = self._open(self.path)
            self._write(self._out, json.dumps(record, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Put the file in its place. Closing twice is harmless."""
        if self._out is not None:
            self._out = None
            self._files.close()

    def check(self, total_rows: int, max_fraction: float) -> None:
        """Close, and fail when more than `max_fraction` of `total_rows` (bad rows included) were bad.

        Raises:
            DataError: names the first bad row and the quarantine file.
        """
        self.close()
        if not self.count or self.count <= max_fraction * total_rows:
            return
        first = self.first[0]
        see = f"see {self.path}, mend the data" if self.path else "mend the data"
        raise DataError(
            f"{first['reason']}; this is the first of {self.count:,} unreadable rows in {total_rows:,} "
            f"({self.count / max(total_rows, 1):.2%}), and {max_fraction:.2%} is allowed",
            file=str(first["file"]),
            row=int(first["row"] or 0),
            column=None if first["column"] is None else str(first["column"]),
            value=first["value"],
            fix=f"{see}, or raise data.max_bad_fraction",
        )

    def __enter__(self) -> QuarantineFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None or issubclass(kind, ClickwiseError):
            self.close()
        elif self._out is not None:
            self._out = None
            self._files.__exit__(kind, error, at)

    def _open(self, path: Path) -> IO[str]:
        temporary = self._files.enter_context(whole_file(path))
        return self._files.enter_context(temporary.open("w", encoding="utf-8", errors="backslashreplace"))

    def _write(self, out: IO[str], line: str) -> None:
        try:
            out.write(line)
        except OSError as error:
            self._out = None
            self._files.__exit__(type(error), error, error.__traceback__)
            raise
