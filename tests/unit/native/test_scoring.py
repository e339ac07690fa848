"""Towers to score with against float64, on every instruction set, in both precisions, with columns that rows share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from clickwise.native import Tier, scoring
from clickwise.native.precision import Precision
from clickwise.native.scoring import ArrayLayer, ScoringTower

# Rows, then the widths of the layers; a last layer of up to 4 outputs is narrow.
SHAPES = [(1, (1, 1)), (3, (7, 5)), (5, (33, 17, 3)), (130, (45, 65, 31, 1)), (257, (64, 48, 33, 5)), (0, (5, 4, 1))]
ROUNDING = {"fp32": 2e-6, "bf16": 1e-2}  # of the largest element


def make(rows: int, widths: Sequence[int], shared: np.ndarray) -> tuple[np.ndarray, list[ArrayLayer]]:
    rng = np.random.default_rng(rows + len(widths))
    layers = []
    for place, (k, n) in enumerate(pairwise(widths)):
        weight, bias = rng.normal(size=(n, k)) / k**0.5, rng.normal(size=n) * 0.3
        layers.append(ArrayLayer(weight.astype(np.float32), bias.astype(np.float32), place < len(widths) - 2))
    x = rng.normal(size=(rows, widths[0])).astype(np.float32)
    x[:, shared] = x[:1, shared]
    return x, layers


def exact(x: np.ndarray, layers: Sequence[ArrayLayer]) -> np.ndarray:
    y = x.astype(np.float64)
    for layer in layers:
        y = y @ layer.weight.astype(np.float64).T + layer.bias
        y = np.maximum(y, 0) if layer.relu else y
    return y


def masks(width: int) -> list[np.ndarray]:
    """No column, all, the first ones, the last one, every third, all but one."""
    at = np.arange(width)
    return [at < 0, at >= 0, at < width // 2, at == width - 1, at % 3 == 0, at != width // 2]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("rows", "widths"), SHAPES)
def test_a_tower_gives_what_its_layers_say(isa: str, rows: int, widths: tuple[int, ...], precision: Precision) -> None:
    for shared in masks(widths[0]):
        x, layers = make(rows, widths, shared)
        found, expected = ScoringTower(layers, precision, shared)(x), exact(x, layers)
        assert found.shape == expected.shape and found.dtype == np.float32
        limit = ROUNDING[precision] * max(1.0, float(np.abs(expected).max(initial=0.0)))
        np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


def test_shared_columns_are_read_from_the_first_row_alone(isa: str) -> None:
    shared = np.arange(40) % 2 == 0
    x, layers = make(70, (40, 24, 2), shared)
    tower = ScoringTower(layers, "fp32", shared)
    before = tower(x)
    x[1:, shared] = np.nan
    np.testing.assert_array_equal(tower(x), before)
    x[0, 0] += 1
    assert (tower(x) != before).all(axis=1).any()


def test_without_compiled_layers_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "tier", lambda: Tier.EMBEDDINGS)
    shared = np.arange(9) < 4
    x, layers = make(20, (9, 8, 1), shared)
    np.testing.assert_allclose(ScoringTower(layers, "bf16", shared)(x), exact(x, layers), rtol=1e-5, atol=1e-5)


def test_what_does_not_fit_is_refused(isa: str) -> None:
    x, layers = make(4, (6, 5, 2), np.zeros(6, bool))
    with pytest.raises(ValueError, match="does not fit the one before"):
        ScoringTower([layers[0], layers[0]], "fp32")
    with pytest.raises(ValueError, match="x is not"):
        ScoringTower(layers, "fp32")(x[:, :5].copy())
