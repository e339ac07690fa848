"""Towers of linear layers to score with: of arrays, for those who have no torch, and with weights laid out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clickwise.native import Tier, kernels, tier
from clickwise.native.precision import Precision


class ArrayLayer(NamedTuple):
    """relu after W x + b, or no relu: weight [N, K] and bias [N], float32 and dense."""

    weight: np.ndarray
    bias: np.ndarray
    relu: bool


class ScoringTower:
    """a_{l+1} = relu(W_l a_l + b_l). May be used by several threads.

    Args:
        layers: from the first to the last.
        precision: of the operands, as `clickwise.native.precision` has it; without compiled layers fp32.
        shared: [K] bool; columns of x whose cells are the same in all rows of a batch. Their part of the first layer is
            computed once, in fp32. None: there are none.
    """

    def __init__(self, layers: Sequence[ArrayLayer], precision: Precision, shared: np.ndarray | None = None) -> None:
        self._layers = layers
        self._width, self._out = layers[0].weight.shape[1], len(layers[-1].bias)
        if tier() is not Tier.DENSE:
            self._scorer = None
            return
        split = shared is not None and shared.any() and not shared.all()
        own = np.flatnonzero(~shared) if split and shared is not None else np.arange(self._width)
        rest = np.setdiff1d(np.arange(self._width), own)
        first = layers[0].weight
        weights = [first if not split else first[:, own], *(layer.weight for layer in layers[1:])]
        self._scorer = kernels().DenseScorer(
            [np.ascontiguousarray(weight) for weight in weights],
            [layer.bias for layer in layers],
            kernels().DenseShape([layer.relu for layer in layers], [0.0] * len(layers), precision == "bf16"),
            np.ascontiguousarray(first[:, rest]) if split else None,
            _runs(own),
            _runs(rest),
            self._width,
        )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[B, K of the first] -> [B, N of the last]; x is float32 and dense."""
        if self._scorer is None:
            return _by_numpy(x, self._layers)
        y = np.empty((len(x), self._out), np.float32)
        self._scorer.score(x, y)
        return y


def _by_numpy(x: np.ndarray, layers: Sequence[ArrayLayer]) -> np.ndarray:
    for layer in layers:
        x = x @ layer.weight.T + layer.bias
        if layer.relu:
            x = np.maximum(x, 0)
    return x


def _runs(columns: np.ndarray) -> np.ndarray:
    """[n, 2] int64: from and to of rising columns that follow each other."""
    ends = np.flatnonzero(np.diff(columns, append=columns[-1:] + 2) != 1) if len(columns) else columns
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(columns) else columns
    return np.stack([columns[starts], columns[ends] + 1], 1).astype(np.int64)
