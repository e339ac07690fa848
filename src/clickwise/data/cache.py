"""Encoded data sets, kept by content and found again.

An entry is a folder named by a digest of everything that made it: the bytes of the data, the schema, the settings that
change which rows are read or how they are split, and `ENCODING_VERSION`. **The rule for staleness:** same bytes, same
schema, same settings, same version, same entry; anything else is another entry, and an entry is never changed. An
entry whose files do not have the sizes written in it is damaged, is removed, and is built again. Entries are built
beside their place and renamed when whole, so two runs that build one entry at once do no harm.

Beyond a size limit the entries used longest ago are removed, never the one in use. Another process may be training
from an entry that is removed: it keeps its files open and does not notice.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import stat
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from clickwise.atomic import whole_folder
from clickwise.config import require, to_data
from clickwise.data.config import DataConfig
from clickwise.features.schema_data import schema_to_data
from clickwise.schema import Schema

ENCODING_VERSION = 1
"""Raised whenever the same data, schema and settings would be encoded to other bytes."""
DEFAULT_LIMIT_GB = 20.0
"""Size limit of the cache, in 10^9 bytes; the environment variable CLICKWISE_CACHE_GB overrides it."""

_SAME_ROWS = ("quarantine", "cache_dir", "batch_rows", "sample_rows")
"""Settings that change neither the rows nor their encoding."""
_MANIFEST = "entry.json"
_ENTRY = re.compile(r"[0-9a-f]{64}")
_LEFTOVER = re.compile(r"\.([0-9a-f]{64}|scratch-[0-9a-f]{32})(\..*)?")
_LEFTOVER_AGE_S = 86_400.0
_CHECKPOINT_AGE_S = 30 * 86_400.0


def entry_key(fingerprints: Sequence[str], schema: Schema, config: DataConfig) -> str:
    """The name of the entry that these data, schema and settings make: 64 hex digits."""
    settings = {k: v for k, v in to_data(config).items() if k not in _SAME_ROWS}
    material = [ENCODING_VERSION, list(fingerprints), schema_to_data(schema), settings]
    return hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()


def cache_folder(configured: str | None) -> Path:
    """The folder given, else $CLICKWISE_CACHE, else ~/.cache/clickwise."""
    return Path(configured or os.environ.get("CLICKWISE_CACHE") or Path.home() / ".cache" / "clickwise")


def checkpoint_folder(cache: Path) -> Path:
    """Where runs that were stopped keep what they need to go on; forgotten after thirty days."""
    return cache / "checkpoints"


class Cache:
    """The entries of one folder.

    Args:
        folder: where they are; made when first needed.
        limit_bytes: None takes $CLICKWISE_CACHE_GB or the default.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        self.folder = folder
        self.limit_bytes = _limit_bytes() if limit_bytes is None else limit_bytes

    def find(self, key: str) -> Path | None:
        """The whole entry, marked as used now; None when there is none. A damaged one is removed."""
        entry = self.folder / key
        if not entry.is_dir():
            return None
        if not _is_whole(entry):
            self.remove(key)
            return None
        _touch(entry)
        return entry

    @contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """A folder to fill; when the block ends well it becomes the entry `key`, and old entries make room for it.

        Raises:
            DataError: the disk is full, or the folder cannot be written to. Nothing is left behind.
        """
        with whole_folder(self.folder / key) as folder:
            yield folder
            sizes = {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
            (folder / _MANIFEST).write_text(json.dumps({"files": sizes}, indent=1), encoding="utf-8")
        self.make_room(key)

    def remove(self, key: str) -> None:
        """Forget an entry."""
        shutil.rmtree(self.folder / key, ignore_errors=True)

    def make_room(self, in_use: str) -> None:
        """Remove the entries used longest ago until the rest fits, and what killed runs left. Keeps `in_use`."""
        entries = [f for f in self.folder.iterdir() if _ENTRY.fullmatch(f.name)]
        sizes = {entry: _size(entry) for entry in entries}
        total = sum(sizes.values())
        for entry in sorted(entries, key=_last_used):
            if total <= self.limit_bytes:
                break
            if entry.name != in_use:
                shutil.rmtree(entry, ignore_errors=True)
                total -= sizes[entry]
        for leftover in self.folder.iterdir():
            if _LEFTOVER.fullmatch(leftover.name) and time.time() - _newest(leftover) > _LEFTOVER_AGE_S:
                shutil.rmtree(leftover, ignore_errors=True)
        for stopped in checkpoint_folder(self.folder).glob("*"):
            if time.time() - _newest(stopped) > _CHECKPOINT_AGE_S:
                shutil.rmtree(stopped, ignore_errors=True)


class Scratch:
    """A folder for data that has no lasting identity. It goes when this object does, at the latest at exit."""

    def __init__(self, parent: Path) -> None:
        self.path = parent / f".scratch-{uuid.uuid4().hex}"
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _limit_bytes() -> int:
    text = os.environ.get("CLICKWISE_CACHE_GB", "").strip()
    valid = re.fullmatch(r"\d+(\.\d*)?|", text) is not None
    require(valid, "CLICKWISE_CACHE_GB", text, "a number of gigabytes")
    return int((float(text) if text else DEFAULT_LIMIT_GB) * 1e9)


def _is_whole(entry: Path) -> bool:
    try:
        sizes: dict[str, Any] = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))["files"]
        return all((entry / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _touch(entry: Path) -> None:
    try:
        os.utime(entry / _MANIFEST)
    except OSError:
        return  # a read-only cache still serves; it only forgets what was used last


def _last_used(entry: Path) -> float:
    try:
        return (entry / _MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def _size(entry: Path) -> int:
    return sum(state.st_size for state in _states(entry) if stat.S_ISREG(state.st_mode))


def _newest(folder: Path) -> float:
    """When anything in it was changed last; never, where it has gone."""
    return max((state.st_mtime for state in _states(folder)), default=math.inf)


def _states(folder: Path) -> Iterator[os.stat_result]:
    """Of the folder and all that is in it, without what another process removes meanwhile."""
    inside = (Path(at, name) for at, folders, files in os.walk(folder) for name in (*folders, *files))
    for path in chain([folder], inside):
        with suppress(FileNotFoundError):
            yield os.stat(path)
