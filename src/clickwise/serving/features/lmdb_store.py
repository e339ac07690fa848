"""LMDB: values in a file that is changed while it is read, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.atomic import disk_errors
from clickwise.errors import BundleError, DataError, MissingExtraError
from clickwise.serving.features.layout import Found, Layout
from clickwise.serving.features.store import FeatureStore, Loader, Writer

_VALUES, _STAMPS = b"values", b"stamps"  # stamp + key -> record; entity + stamp -> nothing
_MOST_BYTES = 1 << 36
"""Of address space; the file is as large as what it holds."""


class LmdbStore(FeatureStore):
    """A reader. Each look-up sees what had been committed when it began.

    Args:
        folder: that `LmdbLoader` has filled.

    Raises:
        BundleError: there is no such store, or it is damaged.
        MissingExtraError: lmdb is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.place = f"lmdb:{folder}"
        if not (folder / "data.mdb").is_file():
            raise BundleError(f"{self.place}: there is no such store; `clickwise features load` makes one")
        self._lmdb = _library()
        try:
            self._file = self._lmdb.open(
                str(folder), map_size=_MOST_BYTES, max_dbs=2, readonly=True, create=False, readahead=False
            )
            self._file.reader_check()  # readers that were killed keep old pages alive
            self._values = self._file.open_db(_VALUES, create=False)
            self._stamps = self._file.open_db(_STAMPS, create=False)
        except self._lmdb.Error as error:
            raise BundleError(f"{self.place}: cannot be opened: {error}; load the features again") from None

    def _get(self, layout: Layout, keys: pa.Array, until_s: float) -> Found:
        try:
            with self._file.begin(db=self._values, buffers=True) as reading:
                values = [reading.get(layout.stamp + key.encode()) if key else None for key in keys.to_pylist()]
                return layout.unpack_bytes(keys, values)
        except self._lmdb.Error:
            return layout.nothing(len(keys), reached=False)

    def stamps(self, entity: str) -> set[bytes]:
        """See `FeatureStore.stamps`."""
        start = entity.encode() + b"\0"
        try:
            with self._file.begin(db=self._stamps) as reading, reading.cursor() as cursor:
                if not cursor.set_range(start):
                    return set()
                found = []
                for key in cursor.iternext(keys=True, values=False):
                    if not key.startswith(start):
                        break
                    found.append(key.removeprefix(start))
                return set(found)
        except self._lmdb.Error as error:
            raise BundleError(f"{self.place}: cannot be read: {error}; load the features again") from None

    def refresh(self) -> None:
        """Nothing to do: `get` sees it."""

    def close(self) -> None:
        """See `FeatureStore.close`."""
        self._file.close()


class LmdbLoader(Loader):
    """Adds values and replaces those of the same key; other keys keep theirs.

    Args:
        folder: made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.place = f"lmdb:{folder}"
        self._folder = folder

    @contextmanager
    def loading(self, layout: Layout) -> Iterator[Writer]:
        """See `Loader.loading`. Readers see each batch that is written as soon as it is on disk."""
        lmdb = _library()
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with lmdb.open(str(self._folder), map_size=_MOST_BYTES, max_dbs=2) as file:
                file.reader_check()
                values, stamps = file.open_db(_VALUES), file.open_db(_STAMPS)
                yield _LmdbWriter(file, values, layout)
                with file.begin(db=stamps, write=True) as writing:
                    writing.put(layout.entity.name.encode() + b"\0" + layout.stamp, b"")
        except lmdb.MapFullError:
            problem = f"holds {_MOST_BYTES >> 30} GiB, which is all that it takes"
            raise DataError(problem, file=str(self._folder), fix="load into a new folder") from None
        except lmdb.Error as error:
            raise DataError(f"cannot be written to: {error}", file=str(self._folder)) from None


class _LmdbWriter(Writer):
    def __init__(self, file: Any, values: Any, layout: Layout) -> None:
        self._file, self._values, self._stamp = file, values, layout.stamp

    def write(self, keys: pa.Array, records: np.ndarray) -> None:
        """See `Writer.write`."""
        raw, size = records.tobytes(), records.dtype.itemsize
        pairs = ((self._stamp + key.encode(), raw[i * size : (i + 1) * size]) for i, key in enumerate(keys.to_pylist()))
        with self._file.begin(db=self._values, write=True) as writing, writing.cursor() as cursor:
            cursor.putmulti(pairs)


def _library() -> Any:
    try:
        import lmdb
    except ImportError:
        raise MissingExtraError("a store lmdb:...", "lmdb") from None
    return lmdb
