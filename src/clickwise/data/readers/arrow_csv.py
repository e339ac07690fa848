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
    lent: _Lent | None = _Lent(stream)
    held, failures = weakref.ref(lent), lent.failures
    reader: pa.RecordBatchReader | None = None
    try:
        reader = pa.RecordBatchReader.from_stream(pacsv.open_csv(lent, **options))
        yield from reader
    except (pa.ArrowException, OSError):
        if failures:
            raise failures[0].with_traceback(None) from failures[0].__cause__
        raise
    finally:
        if reader is not None:
            reader.close()
        lent = reader = None
        latest = time.monotonic() + _LONGEST_WAIT_S
        while held() is not None and time.monotonic() < latest:
            time.sleep(0.0005)


class _Lent:
    """What Arrow gets of a stream: an object that nothing else holds, so that its end can be seen."""

    closed = False

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self.failures: list[Exception] = []
        """What `read` raised: a C stream passes on no more than its text."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end of the file."""
        try:
            return self._stream.read(size)
        except Exception as error:
            self.failures.append(error)
            raise

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
