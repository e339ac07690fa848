"""Files and folders that are written whole or not at all: a temporary sibling, fsync, then a rename."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from clickwise.errors import DataError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary sibling of `path` to write to; when the block ends well it becomes `path`, else it is removed.

    Raises:
        DataError: the disk is full, or the folder cannot be written to.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary sibling folder of `path` to fill; when the block ends well it takes the place of `path`.

    What stood at `path` before changes places with it in one step and is then removed: whoever looks at `path` finds
    the old one or the new one. Where the system cannot do that, there is nothing at `path` for an instant.

    Raises:
        DataError: the disk is full, or the folder cannot be written to.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            for file in sorted(temporary.rglob("*")):
                file.chmod((0o777 if file.is_dir() else 0o666) & ~_umask())  # some libraries write for the owner only
                sync(file)
            sync(temporary)
            _take_place(temporary, path)
            sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one line each."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        fix = "free some space or write elsewhere; nothing half-written was left" if full else "check the path"
        problem = "the disk is full" if full else f"cannot be written: {error.strerror or error}"
        raise DataError(problem, file=str(path), fix=fix) from error


def _take_place(new: Path, path: Path) -> None:
    """Rename the folder `new` to `path`, and remove what was there."""
    if not os.path.lexists(path):
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    try:
        if _exchange(new, path):
            new.rename(old / "was")
        else:
            path.rename(old / "was")
            new.rename(path)
    finally:
        if os.path.lexists(path):  # else the only one there is stays where it can be found
            shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where this is not possible, and nothing was done."""
    rename = _renameat2()
    if rename is None:
        return False
    return rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


@functools.cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """The system's renameat2, of Linux alone."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    return cast("Callable[[int, bytes, int, bytes, int], int]", function)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
