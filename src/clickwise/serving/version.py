"""The files of a version: what a bundle becomes to be served, without torch. Made once, by `clickwise export`.

version/
  manifest.json      the model card, what the graph is given, and the size and sha256 of every other file
  manifest.sha256    sha256 of manifest.json; its first digits are the version's name
  features/          the fitted feature pipeline, as it stands in the bundle
  tables/            the rows of each embedding table, float32 [V, D], mapped and never read whole
  graph.onnx         the rest of the model: from pooled vectors and numbers to logits
  golden.json        requests, and the logits that training code gave for them
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickwise.config import build
from clickwise.errors import BundleError, ConfigError
from clickwise.sealed import Seal

FEATURES = "features"
TABLES = "tables"
GRAPH = "graph.onnx"
GOLDEN = "golden.json"
LOGITS = "logits"
"""The output of the graph: [B], before calibration."""
SPARSE, DENSE, SLOT_WEIGHT = "sparse", "dense", "slot_weight"
"""Inputs of the graph beside vectors, each there if the model reads it: [B, S] int32, [B, N] and [B, S] float32."""

VERSION = Seal(
    format="clickwise version",
    version=1,
    noun="version",
    command="clickwise export BUNDLE --out",
    again="export the bundle again",
    mapped=(f"{TABLES}/",),
    needed=GRAPH,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Vectors:
    """An input of the graph: vectors [B, F, D] that are pooled from the rows of a table.

    Vector f is the sum over its slots s of coefficient[b, s] * table[sparse[b, s]].

    Args:
        name: of the input.
        table: file of the rows.
        starts: [F + 1]; vector f is the slots from `starts[f]` to `starts[f + 1]`.
        means: from and to of the slots whose sum is divided by how many of them are filled.
        weighted: coefficients are multiplied by the slot weights.
    """

    name: str
    table: str
    starts: tuple[int, ...]
    means: tuple[tuple[int, int], ...] = ()
    weighted: bool = False


def vectors_of(folder: Path, manifest: Mapping[str, Any]) -> list[Vectors]:
    """The vectors that the manifest of `folder` says its graph is given.

    Raises:
        BundleError: it says no such thing.
    """
    entries = manifest.get("vectors")
    if not isinstance(entries, list):
        raise BundleError(f"{folder}: the manifest says no vectors; {VERSION.again}")
    try:
        return [build(Vectors, entry, "vectors") for entry in entries]
    except ConfigError as error:
        raise BundleError(f"{folder}: {error}; {VERSION.again}") from None


def features_digest(manifest: Mapping[str, Any]) -> str:
    """Digits of what the files of a version's features are: two versions that have these in common encode alike."""
    sums = sorted(
        (name, entry["sha256"]) for name, entry in manifest["files"].items() if name.startswith(f"{FEATURES}/")
    )
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()
