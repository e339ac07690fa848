"""Arrow's streaming CSV parser over a `TextStream`, ended so that no thread of Arrow is left with the stream."""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from clickwise.data.readers.text_stream import TextStream

_LONGEST_WAIT_S = 10.0


def csv_batches(stream: TextStream, **options: Any) -> Generator[pa.RecordBatch, None, None]:
    """The batches of `pyarrow.csv.open_csv(stream, **options)`. Whoever stops before the end closes the generator.

    A thread of Arrow reads ahead. It must not let go of a Python object while the interpreter ends, which aborts the
    process, so nothing is given back before it has; and it must not be waited for under the lock of the interpreter,
    which it needs to end. Closing a C stream waits without.

    Raises:
        ArrowException: what cannot be parsed.
        Exception: what `stream.read` raised.
    """
    failures: list[Exception] = []
    lent = _Lent(stream, failures)
    held = weakref.ref(lent)
    reader: pa.RecordBatchReader | None = None
    try:
        reader = pa.RecordBatchReader.from_stream(pacsv.open_csv(lent, **options))
        for batch in reader:
            if failures:
                break
            yield batch
    except pa.ArrowException:
        if not failures:
            raise
    finally:
        if reader is not None:
            reader.close()
        del lent, reader
        latest = time.monotonic() + _LONGEST_WAIT_S
        while held() is not None and time.monotonic() < latest:
            time.sleep(0.0005)
    if failures:
        raise failures[0]


class _Lent:
    """What Arrow gets of a stream: an object that nothing else holds, so that its end can be seen."""

    closed = False

    def __init__(self, stream: TextStream, failures: list[Exception]) -> None:
        self._stream = stream
        self._failures = failures

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end of the file, or of what can be read."""
        try:
            return self._stream.read(size)
        except Exception as error:  # noqa: BLE001 - raised where the batches are used; Arrow would keep it, and this object
            self._failures.append(error.with_traceback(None))
            return b""

    def close(self) -> None:
        """The stream is closed by who opened it."""

    def readable(self) -> bool:
        """Always true; Arrow asks."""
        return True

    def writable(self) -> bool:
        """Always false; Arrow asks."""
        return False

    def seekable(self) -> bool:
        """Always false; Arrow asks."""
        return False
