"""Reading the next block of a source while the last one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from queue import Empty, Queue
from typing import Any, NamedTuple

from clickwise.data.source import Block, Quarantine, Source


class _Read(NamedTuple):
    """What the reading thread hands over: bad rows, then a block, the error that ended the reading, or its end."""

    bad: list[dict[str, Any]]
    block: Block | None
    error: BaseException | None


class _Noted(Quarantine):
    """Takes bad rows down in the reading thread; they are handed on in the thread of the reader."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def add(self, *, file: str, row: int, column: str | None, value: str | None, reason: str, text: str | None) -> None:
        """One bad row."""
        self._rows.append({"file": file, "row": row, "column": column, "value": value, "reason": reason, "text": text})

    def taken(self) -> list[dict[str, Any]]:
        """Those since the last call."""
        rows, self._rows = self._rows, []
        return rows


def blocks_ahead(
    source: Source, columns: Sequence[str] | None, quarantine: Quarantine | None
) -> Generator[Block, None, None]:
    """`source.blocks(columns, quarantine)`, read in a thread of its own: one block ready, one in the making.

    Bad rows reach the quarantine just before the block that they would come before, so nothing tells the difference.
    """
    ready: Queue[_Read] = Queue(maxsize=1)
    stop = threading.Event()
    thread = threading.Thread(target=_read, args=(source, columns, ready, stop), daemon=True, name="clickwise-read")
    thread.start()
    try:
        while True:
            read = ready.get()
            if quarantine is not None:
                for row in read.bad:
                    quarantine.add(**row)
            if read.error is not None:
                raise read.error
            if read.block is None:
                return
            yield read.block
    finally:
        stop.set()
        while thread.is_alive():  # it may be waiting to hand over
            try:
                ready.get_nowait()
            except Empty:
                thread.join(0.01)


def _read(source: Source, columns: Sequence[str] | None, ready: Queue[_Read], stop: threading.Event) -> None:
    noted = _Noted()
    error: BaseException | None = None
    try:
        with closing(source.blocks(columns, noted)) as blocks:
            for block in blocks:
                ready.put(_Read(noted.taken(), block, None))
                if stop.is_set():
                    return
    except BaseException as caught:  # noqa: BLE001 - raised again by the reader
        error = caught
    ready.put(_Read(noted.taken(), None, error))
