"""Reading the next block of a source while the last one is worked on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from clickwise.data.source import Block, Quarantine, Source
from clickwise.read_ahead import read_ahead

_Rows = list[dict[str, Any]]


class _Noted(Quarantine):
    """Takes bad rows down in the reading thread; they are handed on in the thread of the reader."""

    def __init__(self) -> None:
        self._rows: _Rows = []

    def add(self, *, file: str, row: int, column: str | None, value: str | None, reason: str, text: str | None) -> None:
        """One bad row."""
        self._rows.append({"file": file, "row": row, "column": column, "value": value, "reason": reason, "text": text})

    def taken(self) -> _Rows:
        """Those since the last call."""
        rows, self._rows = self._rows, []
        return rows


def blocks_ahead(
    source: Source, columns: Sequence[str] | None, quarantine: Quarantine | None
) -> Generator[Block, None, None]:
    """`source.blocks(columns, quarantine)`, read in a thread of its own: one block ready, one in the making.

    Bad rows reach the quarantine just before the block that they would come before, so nothing tells the difference.
    """
    with closing(read_ahead(_reads(source, columns), depth=1, name="clickwise-read")) as reads:
        for bad, block in reads:
            if quarantine is not None:
                for row in bad:
                    quarantine.add(**row)
            if block is not None:
                yield block


def _reads(source: Source, columns: Sequence[str] | None) -> Generator[tuple[_Rows, Block | None], None, None]:
    """Bad rows and the block after them; at last, also of a reading that fails, those after the last block."""
    noted = _Noted()
    with closing(source.blocks(columns, noted)) as blocks:
        try:
            for block in blocks:
                yield noted.taken(), block
        except Exception:
            yield noted.taken(), None
            raise
    yield noted.taken(), None
