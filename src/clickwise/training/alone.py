"""Working in a folder that no other run works in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from clickwise.atomic import disk_errors

_LOCK = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Whether this run has `folder` to itself while the block runs; false where another one has it.

    Raises:
        DataError: the folder cannot be written to.
    """
    file = None
    while file is None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / _LOCK).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            yield False
            return
        file = _unless_removed(file, folder)
    with file:
        yield True


def _unless_removed(file: TextIOWrapper, folder: Path) -> TextIOWrapper | None:
    """`file`, if it is still the lock of `folder`: a run that ended in between takes its folder with it."""
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file.fileno()), os.stat(folder / _LOCK)):
            return file
    file.close()
    return None
