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

from pathlib import Path
from typing import Any

from clickwise.sealed import MANIFEST as MANIFEST
from clickwise.sealed import MANIFEST_CHECKSUM as MANIFEST_CHECKSUM
from clickwise.sealed import Seal, is_sealed

FORMAT = "clickwise bundle"
FORMAT_VERSION = 1
WEIGHTS = "weights.safetensors"
FEATURES = "features"
SCHEMA = "schema.toml"
CONFIG = "config.toml"
HISTORY = "history.jsonl"

BUNDLE = Seal(
    format=FORMAT,
    version=FORMAT_VERSION,
    noun="bundle",
    command="clickwise train ... --out",
    again="train it again",
    mapped=(WEIGHTS,),
    needed=WEIGHTS,
)


def is_bundle(folder: Path) -> bool:
    """Whether there is a bundle (perhaps a damaged one) at `folder`."""
    return is_sealed(folder)


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a folder whose other files are all in place, and its checksum."""
    BUNDLE.write(folder, manifest)


def verify(folder: Path, *, weights: bool = True) -> dict[str, Any]:
    """The manifest, after checking that every file is there, whole and unchanged.

    Args:
        weights: read the weights too. When false, only their size is checked, and no time is spent on gigabytes.

    Raises:
        BundleError: not a bundle, another format version, or a file that is missing, resized or changed.
    """
    return BUNDLE.verify(folder, read_all=weights)
