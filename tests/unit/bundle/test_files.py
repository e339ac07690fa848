"""Every byte of a bundle is under a checksum: `verify` finds any that was flipped or cut."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from clickwise.bundle.files import MANIFEST, MANIFEST_CHECKSUM, WEIGHTS, seal, verify
from clickwise.errors import BundleError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle = tmp_path / "bundle"
    (bundle / "features").mkdir(parents=True)
    (bundle / WEIGHTS).write_bytes(bytes(range(256)))
    (bundle / "features" / "pipeline.json").write_text("{}")
    seal(bundle, {"model": {"name": "lr"}})
    return bundle


def reseal(folder: Path, change: dict) -> None:
    """Change the manifest and give it a right checksum, as an attacker would."""
    import hashlib

    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.update(change)
    text = json.dumps(manifest)
    (folder / MANIFEST).write_text(text)
    (folder / MANIFEST_CHECKSUM).write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  {MANIFEST}\n")


def test_what_was_sealed_verifies(folder: Path) -> None:
    manifest = verify(folder)
    assert manifest["format_version"] == 1
    assert set(manifest["files"]) == {WEIGHTS, "features/pipeline.json"}


def test_any_changed_or_cut_byte_is_found(folder: Path) -> None:
    rng = random.Random(0)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for position in {0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(20))}:
            changed = bytearray(whole)
            changed[position] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            with pytest.raises(BundleError):
                verify(folder)
        path.write_bytes(whole[:-1])
        with pytest.raises(BundleError, match=r"bytes|checksum differs from manifest"):
            verify(folder)
        path.write_bytes(whole)
    verify(folder)


def test_without_the_weights_all_else_is_still_checked(folder: Path) -> None:
    weights, features = folder / WEIGHTS, folder / "features" / "pipeline.json"
    weights.write_bytes(bytes(256))
    assert verify(folder, weights=False)
    with pytest.raises(BundleError, match=r"weights\.safetensors: its checksum differs"):
        verify(folder)
    weights.write_bytes(bytes(255))
    with pytest.raises(BundleError, match="has 255 bytes, the manifest says 256"):
        verify(folder, weights=False)
    weights.write_bytes(bytes(256))
    features.write_text("[]")
    with pytest.raises(BundleError, match=r"pipeline\.json: its checksum differs"):
        verify(folder, weights=False)


def test_missing_files_and_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        verify(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="is not a clickwise bundle"):
        verify(tmp_path / "empty")
    (folder / WEIGHTS).unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors: is missing"):
        verify(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "..", "a\\b"])
def test_names_cannot_leave_the_folder(folder: Path, name: str) -> None:
    entry = {"size_bytes": 1, "sha256": "0"}
    reseal(folder, {"files": {WEIGHTS: entry, name: entry}})
    with pytest.raises(BundleError, match="not allowed"):
        verify(folder)


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (folder / WEIGHTS).rename(outside)
    (folder / WEIGHTS).symlink_to(outside)
    with pytest.raises(BundleError, match="missing"):
        verify(folder)


def test_another_format_version_is_named(folder: Path) -> None:
    reseal(folder, {"format_version": 99})
    with pytest.raises(BundleError, match="format version 99, this clickwise reads 1"):
        verify(folder)
