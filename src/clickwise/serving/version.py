"""The files of a version: what a bundle becomes to be served, without torch. Made once, by `clickwise export`.

version/
  manifest.json      the model card, what the graph is given, and the size and sha256 of every other file
  manifest.sha256    sha256 of manifest.json; its first digits are the version's name
  features/          the fitted feature pipeline, as it stands in the bundle
  tables/            the rows of each embedding table, float32 [V, D], mapped and never read whole
  towers/            weights [N, K] and biases [N] of layers that the engine multiplies itself, float32
  graph.onnx         the rest of the model: from pooled vectors, what towers make of them, and numbers, to logits
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
TOWERS = "towers"
GRAPH = "graph.onnx"
GOLDEN = "golden.json"
LOGITS = "logits"
"""The output of the graph: [B], before calibration."""
SPARSE, DENSE, SLOT_WEIGHT = "sparse", "dense", "slot_weight"
"""Inputs of the graph beside vectors, each there if the model reads it: [B, S] int32, [B, N] and [B, S] float32."""

VERSION = Seal(
    format="clickwise version",
    version=2,
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


@dataclass(frozen=True, kw_only=True, slots=True)
class TowerLayer:
    """relu after W x + b, or no relu.

    Args:
        weight: file of W [N, K].
        bias: file of b [N].
        relu: whether there is one.
    """

    weight: str
    bias: str
    relu: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Tower:
    """An input of the graph: what linear layers make of vectors, flat, with the dense features behind them.

    Args:
        name: of the input, [B, N of the last layer].
        vectors: name of the vectors.
        dense: whether the dense features are behind them.
        layers: from the first to the last.
    """

    name: str
    vectors: str
    dense: bool
    layers: tuple[TowerLayer, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduced:
    """That towers may multiply bf16, and what showed it: the parity gate.

    Args:
        rows: of the data that both precisions scored.
        auc_fp32: on them.
        auc_bf16: on them, at most `MOST_AUC` off.
        largest: difference of two logits of a row.
    """

    rows: int
    auc_fp32: float
    auc_bf16: float
    largest: float


MOST_AUC = 1e-4
"""By which AUC may differ between precisions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What the graph of a version is given.

    Args:
        vectors: each of them an input, or read by a tower.
        towers: each of them an input.
        reduced: None: all is fp32.
    """

    vectors: tuple[Vectors, ...]
    towers: tuple[Tower, ...] = ()
    reduced: Reduced | None = None


def parts_of(folder: Path, manifest: Mapping[str, Any]) -> Parts:
    """What the manifest of `folder` says its graph is given.

    Raises:
        BundleError: it says no such thing.
    """
    try:
        return build(Parts, manifest.get("graph", {}), "graph")
    except ConfigError as error:
        raise BundleError(f"{folder}: {error}; {VERSION.again}") from None


def features_digest(manifest: Mapping[str, Any]) -> str:
    """Digits of what the files of a version's features are: two versions that have these in common encode alike."""
    sums = sorted(
        (name, entry["sha256"]) for name, entry in manifest["files"].items() if name.startswith(f"{FEATURES}/")
    )
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()
