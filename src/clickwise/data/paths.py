"""From what a user calls their data (a path, a pattern, a folder) to the files it means, in a fixed order."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Sequence

from clickwise.data.formats import format_by_name
from clickwise.errors import DataError


def find_files(data: str | os.PathLike[str]) -> tuple[list[str], str]:
    """The files that `data` means, sorted, and the folder under which `key=value` folders are partitions.

    A path that exists is taken as it is, else as a pattern (`*`, `?`, `[...]`, `**` for any depth). Of a folder, the
    files at any depth whose names do not begin with `.` or `_`: those with the ending of a data format, which must be
    one and the same; all of them when none has one.

    Raises:
        DataError: nothing is there (says what is near), a folder with several formats, a URL.
    """
    path = os.path.expanduser(os.fspath(data))
    if "://" in path:
        raise DataError("is a URL, and only local files are read", file=path, fix="download it first")
    if os.path.isdir(path):
        return _in_folder(path), path
    if os.path.exists(path):
        return [path], os.path.dirname(path) or "."
    if any(character in path for character in "*?["):
        return _matching(path)
    raise DataError(f"no such file or folder{_near(path)}", file=path)


def common_format(files: Sequence[str], where: str) -> None:
    """Refuse files whose names say different formats.

    Raises:
        DataError: names one file of each of two formats.
    """
    kinds: dict[str, str] = {}
    for file in files:
        kind = format_by_name(file)
        if kind is not None:
            kinds.setdefault(kind, os.path.basename(file))
    if len(kinds) > 1:
        (one, file), (two, other) = list(kinds.items())[:2]
        raise DataError(
            f"holds files of several formats: {file} ({one}) and {other} ({two})", file=where, fix="give a pattern"
        )


def _matching(pattern: str) -> tuple[list[str], str]:
    found = sorted(glob.glob(pattern, recursive=True))
    files = [file for file in found if os.path.isfile(file)]
    folders = [folder for folder in found if os.path.isdir(folder)]
    if not files:
        files = [file for folder in folders for file in _in_folder(folder)]
    if not files:
        raise DataError("no file matches this pattern", file=pattern, fix="quote it, and check the folder")
    fixed = pattern[: min(pattern.find(c) for c in "*?[" if c in pattern)]
    root = os.path.dirname(fixed) or "."
    while "=" in os.path.basename(root):
        root = os.path.dirname(root) or "."
    return files, root


def _in_folder(folder: str) -> list[str]:
    found = []
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        found += [os.path.join(here, name) for name in names if not name.startswith((".", "_"))]
    known = sorted(file for file in found if format_by_name(file)) or sorted(found)
    if not known:
        raise DataError("the folder holds no data files", file=folder)
    return known


def _near(path: str) -> str:
    """`"; beside it: ..."`: what stands near the first part of `path` that does not exist."""
    folder, missing = os.path.split(path.rstrip(os.sep))
    while folder and not os.path.isdir(folder):
        folder, missing = os.path.split(folder)
    try:
        there = sorted(name for name in os.listdir(folder or ".") if not name.startswith("."))
    except OSError:
        return ""
    close = difflib.get_close_matches(missing, there, n=3, cutoff=0.5)
    if close:
        return f" (did you mean {' or '.join(repr(os.path.join(folder, name)) for name in close)}?)"
    shown = ", ".join(there[:5]) + (", ..." if len(there) > 5 else "")
    return f"; {folder or 'this folder'} holds {shown}" if there else f"; {folder or 'this folder'} is empty"
