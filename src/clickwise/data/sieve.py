"""`Sieve`: takes the rows that cannot be read out of the blocks, tells the quarantine why, and counts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np

from clickwise.data.ahead import blocks_ahead
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.source import Block, Source
from clickwise.features.transform import BadCells
from clickwise.progress import Progress

T = TypeVar("T")


class Sieve:
    """Reads blocks row by readable row.

    Args:
        quarantine: takes the rows that cannot be read; the source is given the same one, for the rows that no reader
            could make sense of.
    """

    def __init__(self, quarantine: QuarantineFile) -> None:
        self.quarantine = quarantine
        self._blocks_rows = 0
        self._dropped = 0

    @property
    def rows(self) -> int:
        """All rows met so far, unreadable ones included."""
        return self._blocks_rows + self.quarantine.count - self._dropped

    def count(self, block: Block) -> None:
        """Take a new block into the count of rows."""
        self._blocks_rows += len(block)

    def blocks(
        self, source: Source, columns: Sequence[str] | None, stage: str, progress: Progress
    ) -> Generator[Block, None, None]:
        """The blocks of a source, only `columns` (all when None), counted, and told to the progress as `stage`."""
        progress.start(stage, source.estimated_rows())
        with closing(blocks_ahead(source, columns, self.quarantine)) as stream:
            for block in stream:
                self.count(block)
                yield block
                progress.advance(len(block))
        progress.finish()

    def read(self, block: Block, reader: Callable[[Block], T]) -> tuple[np.ndarray, Block, T]:
        """`reader(block)` without the rows whose cells it refuses by raising `BadCells`.

        Returns:
            The positions of the rows that are left [m], those rows, and what the reader made of them.
        """
        kept = np.arange(len(block))
        while True:
            try:
                return kept, block, reader(block)
            except BadCells as error:
                good = self._quarantined(block, error)
                kept, block = kept[good], block.keep(good)

    def check(self, max_fraction: float) -> None:
        """Fail when more than `max_fraction` of the rows were bad; close the quarantine.

        Raises:
            DataError: names the first bad row.
        """
        self.quarantine.check(self.rows, max_fraction)

    def _quarantined(self, block: Block, error: BadCells) -> np.ndarray:
        """Hand the bad rows over, each once, by its first bad cell; which rows are good.  [n] bool"""
        good = np.ones(len(block), bool)
        for cell in sorted(error.cells, key=lambda cell: cell.position):
            if good[cell.position]:
                good[cell.position] = False
                self._dropped += 1
                self.quarantine.add(
                    file=block.file,
                    row=int(block.row[cell.position]),
                    column=cell.column,
                    value=cell.value,
                    reason=cell.problem,
                    text=None,
                )
        return good
