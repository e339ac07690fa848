"""`ServedLog`: keeps a share of the scored requests in Parquet files, beside the work and never in its way."""

from __future__ import annotations

import itertools
import os
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from clickwise.atomic import whole_file
from clickwise.errors import DataError
from clickwise.serving.served.rows import Answered, rows_of

_WAITING = 256
"""Requests that may wait to be written; one more is dropped."""
_LOOK_S = 0.2


class ServedLog:
    """A file is written whole, when it has enough rows or has waited long enough; each process writes its own.

    Args:
        folder: for the files; made if need be.
        share: of the requests that are kept, in [0, 1].
        rows: of a file.
        seconds: after which a file is written with however few.
        counted: is told what became of a request: "written", "dropped" (there was no time for it) or "failed".
        trouble: is told why files cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        share: float,
        rows: int,
        seconds: float,
        counted: Callable[[str, int], None] = lambda outcome, count: None,
        trouble: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._folder, self._share, self._rows, self._seconds = folder, share, rows, seconds
        self._counted, self._trouble = counted, trouble
        self._waiting: queue.Queue[Answered] = queue.Queue(_WAITING)
        self._chance, self._numbers = random.Random(), itertools.count(1)
        self._batches: list[pa.RecordBatch] = []
        self._held, self._since_s = 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="clickwise-served")

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def wants(self) -> bool:
        """Whether the next request is one of those that are kept."""
        return self._chance.random() < self._share

    def offer(self, answered: Answered) -> None:
        """Keep a request, if there is time for it. Returns at once."""
        try:
            self._waiting.put_nowait(answered)
        except queue.Full:
            self._counted("dropped", 1)

    def close(self) -> None:
        """Write what waits, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not (self._stop.is_set() and self._waiting.empty()):
            with suppress(queue.Empty):
                self._take(self._waiting.get(timeout=_LOOK_S))
            if self._batches and time.monotonic() - self._since_s >= self._seconds:
                self._write()
        self._write()

    def _take(self, answered: Answered) -> None:
        try:
            batch = rows_of(answered)
        except Exception as error:  # noqa: BLE001 - one request that cannot be kept must not end the thread
            self._failed(str(error), 1)
            return
        if self._batches and not self._batches[0].schema.equals(batch.schema, check_metadata=True):
            self._write()  # another version answers
        if not self._batches:
            self._since_s = time.monotonic()
        self._batches.append(batch)
        self._held += batch.num_rows
        if self._held >= self._rows:
            self._write()

    def _write(self) -> None:
        batches, self._batches, self._held = self._batches, [], 0
        if not batches:
            return
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        path = self._folder / f"served-{stamp}-{os.getpid()}-{next(self._numbers):06d}.parquet"
        try:
            with whole_file(path) as file:
                pq.write_table(pa.Table.from_batches(batches), file, compression="zstd")
        except (DataError, pa.ArrowException) as error:
            self._failed(str(error), len(batches))
            return
        self._counted("written", len(batches))

    def _failed(self, reason: str, count: int) -> None:
        self._counted("failed", count)
        self._trouble(reason)
