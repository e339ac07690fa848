"""Sealed folders: a manifest holds the size and sha256 of every other file, and the manifest has a checksum of its own.

folder/
  manifest.json      what it is, and the size and sha256 of every other file
  manifest.sha256    sha256 of manifest.json, as `sha256sum -c` reads it
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from clickwise.errors import BundleError

MANIFEST = "manifest.json"
MANIFEST_CHECKSUM = "manifest.sha256"
LIVE = "live.json"
"""In a store: which of its sealed folders answer."""

_STORE = "store of versions"
_TAKEN_BY = {
    "clickwise bundle": "`clickwise inspect`, `evaluate`, `predict`, `export`, `serve` and `publish` take it",
    "clickwise version": "`clickwise serve` and `publish` take it",
    "clickwise recommender": "`clickwise recommend`, `update-items`, `evaluate` and `serve --recommender` take it",
    _STORE: "`clickwise serve`, `publish` and `rollback` take it",
}
"""What a folder may be instead of what was asked for, and what to do with it."""

_MAX_MANIFEST_BYTES = 64 << 20

_NAME_DIGITS = 12

_SETTLED_NS = 2_000_000_000
"""A file that changed later may change once more without other times: the clocks of file systems are coarse."""
_MOST_CHECKSUMS = 10_000
_PIECE_BYTES = 1 << 20
_checksums: dict[tuple[int, ...], str] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Seal:
    """A kind of sealed folder.

    Args:
        format: what the manifest says that it is, such as "clickwise bundle".
        version: the version of the format that is written, and the only one that is read.
        noun: what messages call it.
        command: what makes one, up to the folder's name.
        again: what to do about one that cannot be used.
        mapped: files that opening maps and does not read: a name, or a folder's with a slash behind it.
        needed: a file that it cannot do without; empty: none.
    """

    format: str
    version: int
    noun: str
    command: str
    again: str
    mapped: tuple[str, ...] = ()
    needed: str = ""

    def write(self, folder: Path, manifest: dict[str, Any]) -> None:
        """Write the manifest of a folder whose other files are all in place, and its checksum."""
        own = (folder / MANIFEST, folder / MANIFEST_CHECKSUM)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path not in own)
        entries = {
            p.relative_to(folder).as_posix(): {"size_bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in files
        }
        whole = {"format": self.format, "format_version": self.version, **manifest, "files": entries}
        text = json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        own[0].write_text(text, encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        own[1].write_text(f"{digest}  {MANIFEST}\n", encoding="ascii")

    def verify(self, folder: Path, *, read_all: bool = True) -> dict[str, Any]:
        """The manifest, after checking that every file is there, whole and unchanged.

        Args:
            read_all: read what opening maps, too. When false, only its size is checked, and no time is spent on
                gigabytes.

        Raises:
            BundleError: not such a folder, another format version, or a file that is missing, resized or changed.
        """
        manifest = self._read_manifest(folder)
        for name, entry in self._entries(folder, manifest):
            path = folder / name
            if path.is_symlink() or not path.is_file():
                raise BundleError(f"{path}: is missing from the {self.noun}; copy or {self.again}")
            size = path.stat().st_size
            if size != entry["size_bytes"]:
                said = f"has {size} bytes, the manifest says {entry['size_bytes']}"
                raise BundleError(f"{path}: {said}; the {self.noun} is damaged")
            if (read_all or not self._is_mapped(name)) and _checksum_of(path) != entry["sha256"]:
                raise BundleError(f"{path}: its checksum differs from the manifest's; the {self.noun} is damaged")
        return manifest

    def check_out(self, folder: Path) -> None:
        """Refuse to write over something that is no such folder.

        Raises:
            BundleError: `folder` is a file, or a non-empty folder that has no manifest or is something else.
        """
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not self._may_replace(folder)):
            raise BundleError(f"{folder}: exists and is not a {self.format}; choose another --out or remove it")

    def _may_replace(self, folder: Path) -> bool:
        """Whether a folder is of this kind, as far as its manifest, which may be damaged, still says."""
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
        except OSError:
            return False
        except (ValueError, RecursionError):
            return True
        return not isinstance(manifest, dict) or manifest.get("format", self.format) == self.format

    def _is_mapped(self, name: str) -> bool:
        return any(name == known or (known.endswith("/") and name.startswith(known)) for known in self.mapped)

    def _read_manifest(self, folder: Path) -> dict[str, Any]:
        path = folder / MANIFEST
        if not folder.is_dir():
            raise BundleError(f"{folder}: no such {self.noun}; `{self.command} {folder}` makes one")
        if not path.is_file():
            if (folder / LIVE).is_file():
                raise self._is_something_else(folder, _STORE)
            raise BundleError(f"{folder}: is not a {self.format} (it has no {MANIFEST})")
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: is larger than {_MAX_MANIFEST_BYTES >> 20} MiB, which no manifest is")
        raw = path.read_bytes()
        expected = f"{hashlib.sha256(raw).hexdigest()}  {MANIFEST}\n".encode()
        checksum = folder / MANIFEST_CHECKSUM
        if not checksum.is_file() or checksum.stat().st_size != len(expected) or checksum.read_bytes() != expected:
            raise BundleError(f"{path}: its checksum differs from {MANIFEST_CHECKSUM}; the {self.noun} is damaged")
        try:
            manifest = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{path}: is not valid JSON: {error}") from None
        if not isinstance(manifest, dict) or manifest.get("format") != self.format:
            found = manifest.get("format") if isinstance(manifest, dict) else None
            if isinstance(found, str) and found in _TAKEN_BY:
                raise self._is_something_else(folder, found)
            raise BundleError(f"{path}: is not the manifest of a {self.format}")
        version = manifest.get("format_version")
        if version != self.version:
            raise BundleError(
                f"{path}: has format version {version!r}, this clickwise reads {self.version}; {self.again}"
            )
        return manifest

    def _is_something_else(self, folder: Path, found: str) -> BundleError:
        return BundleError(f"{folder}: is a {found} and no {self.noun}; {_TAKEN_BY[found]}")

    def _entries(self, folder: Path, manifest: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """Names and entries of the files, each name known to stay inside the folder."""
        files = manifest.get("files")
        if not isinstance(files, dict) or (self.needed and self.needed not in files):
            raise BundleError(f"{folder / MANIFEST}: lists no {self.needed or 'files'}; the {self.noun} is damaged")
        for name, entry in files.items():
            parts = PurePosixPath(name).parts
            inside = parts and not PurePosixPath(name).is_absolute() and ".." not in parts and "\\" not in name
            if not inside or not isinstance(entry, dict) or not {"size_bytes", "sha256"} <= entry.keys():
                raise BundleError(f"{folder / MANIFEST}: has a file entry that is not allowed: {name!r}")
        return list(files.items())


def is_sealed(folder: Path) -> bool:
    """Whether there is a sealed folder (perhaps a damaged one) at `folder`."""
    return (folder / MANIFEST).is_file()


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces: large ones, since other threads are held up between two of them."""
    digest, piece = hashlib.sha256(), memoryview(bytearray(_PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(piece[:count])
    return digest.hexdigest()


def _checksum_of(path: Path) -> str:
    """As `sha256_of`, of a file that is read once a process as long as nobody touches it."""
    now, found = time.time_ns(), path.stat()
    file = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    checksum = _checksums.get(file) or sha256_of(path)
    if now - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS:
        if len(_checksums) >= _MOST_CHECKSUMS:
            _checksums.clear()
        _checksums[file] = checksum
    return checksum


def name_of(folder: Path) -> str:
    """What is in a verified folder is called by the first digits of the checksum of its manifest."""
    return (folder / MANIFEST_CHECKSUM).read_text(encoding="ascii")[:_NAME_DIGITS]
