"""Files and folders that are written whole or not at all: a temporary sibling, fsync, then a rename."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clickwise.errors import DataError


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

    What stood at `path` before is moved aside first and removed last, so that a crash leaves the old or the new one.

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
            if path.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
                path.rename(old / "was")
                temporary.rename(path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                temporary.rename(path)
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
