"""`Deep`: a tower of linear layers that the engine multiplies itself, between the vectors and the graph."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from clickwise.errors import BundleError
from clickwise.native.precision import Precision
from clickwise.native.scoring import ArrayLayer, ScoringTower
from clickwise.serving.version import VERSION, Tower, TowerLayer

_MOST_LAID_OUT = 8
"""Ways in which vectors are shared: each has its weights laid out for it."""
_WORTH = 4
"""A smaller part of the slots is not worth that: rows that agree in a few by chance do so in another way each time."""


class Deep:
    """What linear layers make of vectors, flat, and the dense features behind them. May be used by several threads.

    Args:
        folder: of the version, checked.
        tower: what it is.
        layout: starts of its vectors [F + 1] and their dimension D; None: there are no such vectors.
        num_dense: how many dense features there are.

    Raises:
        BundleError: its files do not fit the vectors, or each other.
    """

    def __init__(self, folder: Path, tower: Tower, layout: tuple[np.ndarray, int] | None, num_dense: int) -> None:
        self.name, self.vectors, self.dense = tower.name, tower.vectors, tower.dense and num_dense > 0
        if layout is None or not tower.layers:
            raise BundleError(f"{folder}: {tower.name} has no vectors or no layers; {VERSION.again}")
        self._starts, self._dim = layout
        self._layers = [_layer(folder, each) for each in tower.layers]
        self._width = width = (len(self._starts) - 1) * self._dim + (num_dense if tower.dense else 0)
        for layer in self._layers:
            if layer.weight.shape[1] != width or layer.bias.shape != layer.weight.shape[:1]:
                raise BundleError(f"{folder}: the layers of {tower.name} do not fit; {VERSION.again}")
            width = len(layer.bias)
        self._laid_out: OrderedDict[tuple[Precision, bytes], ScoringTower] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(
        self, vectors: np.ndarray, dense: np.ndarray, shared: np.ndarray | None, precision: Precision
    ) -> np.ndarray:
        """[B, F, D] and [B, N] to [B, N of the last layer].

        Args:
            shared: [S] bool, slots that are the same in all rows; None: nothing is known of that.
        """
        x = vectors.reshape(len(vectors), -1)
        if self.dense:
            x = np.concatenate([x, dense], 1)
        return self._scoring(precision, shared)(x)

    def _scoring(self, precision: Precision, shared: np.ndarray | None) -> ScoringTower:
        if shared is not None and _WORTH * np.count_nonzero(shared) < len(shared):
            shared = None
        key = precision, b"" if shared is None else shared.tobytes()
        with self._lock:
            found = self._laid_out.pop(key, None)
            if found is None:
                found = ScoringTower(self._layers, precision, None if shared is None else self._columns(shared))
            self._laid_out[key] = found  # last, as the one used last
            if len(self._laid_out) > _MOST_LAID_OUT:
                self._laid_out.popitem(last=False)
            return found

    def _columns(self, shared: np.ndarray) -> np.ndarray:
        """[width] bool: columns of vectors all of whose slots are shared."""
        own = np.concatenate([[0], np.cumsum(~shared)])
        found = np.zeros(self._width, bool)
        found[: (len(self._starts) - 1) * self._dim] = np.repeat(
            own[self._starts[1:]] == own[self._starts[:-1]], self._dim
        )
        return found


def _layer(folder: Path, layer: TowerLayer) -> ArrayLayer:
    weight, bias = (_array(folder / name, dims) for name, dims in ((layer.weight, 2), (layer.bias, 1)))
    return ArrayLayer(weight, bias, layer.relu)


def _array(path: Path, dims: int) -> np.ndarray:
    try:
        found = np.load(path)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from None
    if found.dtype != np.float32 or found.ndim != dims or not found.size:
        raise BundleError(f"{path}: is no array of a tower; {VERSION.again}")
    return np.ascontiguousarray(found)
