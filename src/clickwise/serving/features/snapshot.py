"""Snapshots: values that do not change, in files that are mapped. A new one takes the place of the old one whole.

folder/
  user-1f00.../      of one entity and one stamp
    manifest.json    what it is, and the size and sha256 of every other file
    manifest.sha256
    values           records, one a key
    hashes.npy       [V] uint64 fingerprints of the keys, rising
    places.npy       [V] int32, which record each has
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.atomic import disk_errors, whole_folder
from clickwise.errors import BundleError, DataError
from clickwise.features.arrays import codes
from clickwise.features.fingerprints import Fingerprints
from clickwise.sealed import MANIFEST, Seal, is_sealed
from clickwise.serving.features.layout import Found, Layout
from clickwise.serving.features.store import FeatureStore, Loader, Writer

VALUES, HASHES, PLACES = "values", "hashes.npy", "places.npy"
SNAPSHOT = Seal(
    format="clickwise snapshot",
    version=1,
    noun="snapshot",
    command="clickwise features load FILE --entity NAME --version VERSION --to",
    again="load the features again",
    mapped=(VALUES, PLACES),  # records are checked one by one, and places for being inside
    needed=VALUES,
)
_UNKNOWN, _NO_KEY = -1, -2
_COPIED_AT_ONCE = 1 << 16
_MOST_OPEN = 32


class _Which(NamedTuple):
    """Where a snapshot is, and what it has to be of: a `Layout`, without its features."""

    folder: Path
    stamp: bytes
    dtype: np.dtype


class _Opened(NamedTuple):
    """One snapshot: its records, mapped, how they are found, and what its manifest was when it was opened."""

    records: np.ndarray
    places: Fingerprints
    identity: tuple[int, ...]


class SnapshotStore(FeatureStore):
    """Args:
    folder: that `SnapshotLoader` fills; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.place = f"snapshot:{folder}"
        self._folder = folder
        self._opened: dict[bytes, tuple[_Which, _Opened | None]] = {}
        self._opening = threading.Lock()

    def _get(self, layout: Layout, keys: pa.Array, until_s: float) -> Found:
        opened = (self._opened.get(layout.stamp) or self._open(self._which(layout)))[1]
        if opened is None:
            return layout.nothing(len(keys))
        places = opened.places.find(keys, _UNKNOWN, _NO_KEY)
        at = np.flatnonzero((places >= 0) & (places < len(opened.records)))
        return layout.unpack(keys, at, opened.records[places[at]])

    def stamps(self, entity: str) -> set[bytes]:
        """See `FeatureStore.stamps`."""
        found = self._folder.glob(f"{entity}-*")
        names = [path.name.removeprefix(f"{entity}-") for path in found if is_sealed(path)]
        return {bytes.fromhex(name) for name in names if len(name) == 16 and set(name) <= set("0123456789abcdef")}

    def check(self, layout: Layout) -> None:
        """Refuse a damaged snapshot, too; raises as `FeatureStore.check`."""
        super().check(layout)
        self._open(self._which(layout))

    def refresh(self) -> None:
        """Open the snapshots that took the place of others. One that is damaged changes nothing."""
        for which, opened in list(self._opened.values()):
            identity = _identity(which.folder)
            if identity and (opened is None or identity != opened.identity):
                with suppress(BundleError):
                    self._open(which)

    def close(self) -> None:
        """See `FeatureStore.close`."""
        self._opened.clear()

    def _which(self, layout: Layout) -> _Which:
        return _Which(_folder_of(self._folder, layout), layout.stamp, layout.dtype)

    def _open(self, which: _Which) -> tuple[_Which, _Opened | None]:
        with self._opening:
            found = which, _read(which) if is_sealed(which.folder) else None
            self._opened.pop(which.stamp, None)
            self._opened[which.stamp] = found
            if len(self._opened) > _MOST_OPEN:  # of versions that are gone
                del self._opened[next(iter(self._opened))]
            return found


class SnapshotLoader(Loader):
    """Args:
    folder: of a `SnapshotStore`.
    """

    def __init__(self, folder: Path) -> None:
        self.place = f"snapshot:{folder}"
        self._folder = folder

    @contextmanager
    def loading(self, layout: Layout) -> Iterator[Writer]:
        """See `Loader.loading`. Readers see all of it at the end, at once."""
        with whole_folder(_folder_of(self._folder, layout)) as new:
            unsorted = new / ".unsorted"
            with unsorted.open("w+b") as file:
                writer = _SnapshotWriter(file)
                yield writer
                count = writer.finish(new, layout)
            unsorted.unlink()
            told = {"entity": layout.entity.name, "stamp": layout.stamp.hex(), "keys": count}
            SNAPSHOT.write(new, {**told, "record_bytes": layout.dtype.itemsize})


class _SnapshotWriter(Writer):
    """Records go to a file as they come; keys stay in memory until the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._keys = file, list[pa.Array]()

    def write(self, keys: pa.Array, records: np.ndarray) -> None:
        """See `Writer.write`."""
        with disk_errors(Path(self._file.name)):
            self._file.write(records.tobytes())
        self._keys.append(keys.cast(pa.large_string()))

    def finish(self, folder: Path, layout: Layout) -> int:
        """Write the files; how many keys there are."""
        if not self._keys:
            raise DataError("there are no rows to load")
        self._file.flush()
        whole = pa.concat_arrays(self._keys).dictionary_encode()
        if len(whole.dictionary) >= 2**31:
            raise DataError(f"there are {len(whole.dictionary):,} keys", fix="a snapshot takes fewer than 2^31")
        last = np.zeros(len(whole.dictionary), np.int64)
        last[codes(whole)] = np.arange(len(whole))  # of equal keys the last
        found = Fingerprints.build(whole.dictionary, 0)
        np.save(folder / HASHES, np.append(found.hashes, np.uint64(found.seed)))
        np.save(folder / PLACES, found.ids)
        records = np.memmap(self._file.name, layout.dtype, "r")
        with (folder / VALUES).open("wb") as file:
            for start in range(0, len(last), _COPIED_AT_ONCE):
                file.write(records[last[start : start + _COPIED_AT_ONCE]].tobytes())
        return len(last)


def _folder_of(folder: Path, layout: Layout) -> Path:
    return folder / f"{layout.entity.name}-{layout.stamp.hex()}"


def _identity(folder: Path) -> tuple[int, ...]:
    """Another one whenever a snapshot took the place of this one."""
    try:
        found = (folder / MANIFEST).stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(which: _Which) -> _Opened:
    folder = which.folder
    identity = _identity(folder)
    manifest = SNAPSHOT.verify(folder, read_all=False)
    if manifest.get("stamp") != which.stamp.hex() or manifest.get("record_bytes") != which.dtype.itemsize:
        raise BundleError(f"{folder}: is of other features than its name says; {SNAPSHOT.again}")
    try:
        hashes, places = (np.load(folder / name, mmap_mode="r").view(np.ndarray) for name in (HASHES, PLACES))
        records = np.memmap(folder / VALUES, which.dtype, "r").view(np.ndarray)
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder}: cannot be read: {error}; {SNAPSHOT.again}") from None
    fits = hashes.dtype == np.uint64 and places.dtype == np.int32 and len(hashes) == len(places) + 1
    if not fits or hashes.ndim != 1 or len(places) != len(records):
        raise BundleError(f"{folder}: its files do not belong together; {SNAPSHOT.again}")
    return _Opened(records, Fingerprints(int(hashes[-1]), hashes[:-1], places), identity)
