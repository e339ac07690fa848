"""The files of a bundle and how they are checked. Imports no torch.

bundle/
  manifest.json      what it is, what it was made from, how good it is, and the size and sha256 of every other file
  manifest.sha256    sha256 of manifest.json, as `sha256sum -c` reads it
  weights.safetensors
  features/          the fitted feature pipeline: pipeline.json and Arrow tables
  schema.toml        what the columns mean, to read, edit and train with again
  config.toml        the whole config of the run, ready for `clickwise train --config`
  history.jsonl      one line a validation
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from clickwise.errors import BundleError

FORMAT = "clickwise bundle"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
MANIFEST_CHECKSUM = "manifest.sha256"
WEIGHTS = "weights.safetensors"
FEATURES = "features"
SCHEMA = "schema.toml"
CONFIG = "config.toml"
HISTORY = "history.jsonl"

_MAX_MANIFEST_BYTES = 64 << 20


def is_bundle(folder: Path) -> bool:
    """Whether there is a bundle (perhaps a damaged one) at `folder`."""
    return (folder / MANIFEST).is_file()


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a folder whose other files are all in place, and its checksum."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in (MANIFEST, MANIFEST_CHECKSUM))
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **manifest,
        "files": {
            p.relative_to(folder).as_posix(): {"size_bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in files
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / MANIFEST_CHECKSUM).write_text(f"{digest}  {MANIFEST}\n", encoding="ascii")


def verify(folder: Path, *, weights: bool = True) -> dict[str, Any]:
    """The manifest, after checking that every file is there, whole and unchanged.

    Args:
        weights: read the weights too. When false, only their size is checked, and no time is spent on gigabytes.

    Raises:
        BundleError: not a bundle, another format version, or a file that is missing, resized or changed.
    """
    manifest = _read_manifest(folder)
    for name, entry in _file_entries(folder, manifest):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path}: is missing from the bundle; copy or train it again")
        size = path.stat().st_size
        if size != entry["size_bytes"]:
            raise BundleError(
                f"{path}: has {size} bytes, the manifest says {entry['size_bytes']}; the bundle is damaged"
            )
        if (weights or name != WEIGHTS) and sha256_of(path) != entry["sha256"]:
            raise BundleError(f"{path}: its checksum differs from the manifest's; the bundle is damaged")
    return manifest


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such bundle; `clickwise train ... --out {folder}` makes one")
    if not path.is_file():
        raise BundleError(f"{folder}: is not a clickwise bundle (it has no {MANIFEST})")
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise BundleError(f"{path}: is larger than {_MAX_MANIFEST_BYTES >> 20} MiB, which no manifest is")
    raw = path.read_bytes()
    expected = f"{hashlib.sha256(raw).hexdigest()}  {MANIFEST}\n".encode()
    checksum = folder / MANIFEST_CHECKSUM
    if not checksum.is_file() or checksum.stat().st_size != len(expected) or checksum.read_bytes() != expected:
        raise BundleError(f"{path}: its checksum differs from {MANIFEST_CHECKSUM}; the bundle is damaged")
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is not valid JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path}: is not the manifest of a clickwise bundle")
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: has format version {version!r}, this clickwise reads {FORMAT_VERSION}; train it again"
        )
    return manifest


def _file_entries(folder: Path, manifest: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and entries of the files, each name known to stay inside the folder."""
    files = manifest.get("files")
    if not isinstance(files, dict) or WEIGHTS not in files:
        raise BundleError(f"{folder / MANIFEST}: lists no {WEIGHTS}; the bundle is damaged")
    for name, entry in files.items():
        parts = PurePosixPath(name).parts
        inside = parts and not PurePosixPath(name).is_absolute() and ".." not in parts and "\\" not in name
        if not inside or not isinstance(entry, dict) or not {"size_bytes", "sha256"} <= entry.keys():
            raise BundleError(f"{folder / MANIFEST}: has a file entry that is not allowed: {name!r}")
    return list(files.items())
