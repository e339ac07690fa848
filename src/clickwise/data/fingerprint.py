"""What a set of files holds, as one digest. Files that have not changed are not read again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from clickwise.atomic import whole_file
from clickwise.data.readers.reader import reading

_INDEX = "fingerprints.json"
_SETTLED_NS = 2_000_000_000


def fingerprint_files(files: Sequence[str], extra: Sequence[str] = (), cache_dir: str | Path | None = None) -> str:
    """The sha256 of the contents of `files`, in order, and of the texts in `extra` (such as partition values).

    The rule of memory: with a `cache_dir`, the digest of a file is kept in `fingerprints.json` there under its absolute
    path, size, modification time in nanoseconds and inode, and is taken from there while all four are the same. A file
    changed within the last two seconds is not remembered, since a second change might not move its clock.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    index = Path(cache_dir) / _INDEX if cache_dir is not None else None
    known = _read_index(index)
    fresh: dict[str, str] = {}
    whole = hashlib.sha256()
    for file in files:
        with reading(file, "a file"):
            key, changed_ns = _identity(file)
            digest = known.get(key)
            if digest is None:
                with open(file, "rb") as opened:
                    digest = hashlib.file_digest(opened, "sha256").hexdigest()
                if time.time_ns() - changed_ns > _SETTLED_NS and _identity(file)[0] == key:
                    fresh[key] = digest
        whole.update(bytes.fromhex(digest))
    for text in extra:
        whole.update(hashlib.sha256(text.encode()).digest())
    if index is not None and fresh:
        paths = {key.rpartition("|")[2] for key in fresh}
        kept = {key: value for key, value in known.items() if key.rpartition("|")[2] not in paths}
        with whole_file(index) as temporary:
            temporary.write_text(json.dumps(kept | fresh, indent=1), encoding="utf-8")
    return whole.hexdigest()


def _identity(file: str) -> tuple[str, int]:
    """`size|mtime_ns|inode|path`, and the modification time."""
    state = os.stat(file)
    return f"{state.st_size}|{state.st_mtime_ns}|{state.st_ino}|{os.path.abspath(file)}", state.st_mtime_ns


def _read_index(index: Path | None) -> dict[str, str]:
    """The remembered digests; none when the index is missing or damaged, since it can be made again."""
    if index is None:
        return {}
    try:
        found = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
