"""Rows in order of score against all pairs of them in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clickwise.metrics.ranking import ScoredRows, joined
from clickwise.native import kernels, set_threads
from clickwise.native.ranking import CompiledRanking

ROWS = [(1, 1), (2, 7), (3, 2), (300, 5), (801, 4000)]
"""Clicks and others."""


def scored(clicks: int, others: int, weighted: bool, distinct: int = 0) -> ScoredRows:
    """Random rows in random order, of few `distinct` scores or (0) of scores of every kind."""
    rng = np.random.default_rng(clicks)
    n = clicks + others
    label = rng.permutation(np.arange(n) < clicks)
    logit = rng.standard_normal(n).astype(np.float32) * np.exp(rng.uniform(-90, 80, n)).astype(np.float32)
    logit = np.where(
        rng.random(n) < 0.2, rng.choice(np.array([0.0, -0.0, np.inf, -np.inf, 1e-42], np.float32), n), logit
    )
    if distinct:
        logit = rng.integers(-distinct, distinct, n).astype(np.float32) / 4
    return ScoredRows(logit, label, rng.integers(0, 4, n).astype(np.float32) / 2 if weighted else None)


def ranking(*parts: ScoredRows) -> CompiledRanking:
    rows, clicks = (sum(int(f(part.label)) for part in parts) for f in (len, np.count_nonzero))
    return CompiledRanking(parts, rows, clicks, any(part.weight is not None for part in parts))


def wins(rows: ScoredRows) -> np.ndarray:
    """[P, N] 1 where the click scores above the other row, 1/2 where they tie."""
    click, other = rows.logit[rows.label][:, None], rows.logit[~rows.label][None, :]
    return (click > other) + 0.5 * (click == other)


@pytest.mark.parametrize("distinct", [0, 3, 50])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("clicks", "others"), ROWS)
def test_auc(isa: str, clicks: int, others: int, weighted: bool, distinct: int) -> None:
    rows = scored(clicks, others, weighted, distinct)
    weight = np.ones(len(rows.label)) if rows.weight is None else rows.weight.astype(np.float64)
    w, v = weight[rows.label], weight[~rows.label]
    naive = w @ wins(rows) @ v / (w.sum() * v.sum()) if w.sum() * v.sum() > 0 else math.nan
    assert ranking(rows).auc() == pytest.approx(naive, rel=1e-13, nan_ok=True)


@pytest.mark.parametrize("distinct", [0, 3, 50])
@pytest.mark.parametrize(("clicks", "others"), ROWS)
def test_standard_error(isa: str, clicks: int, others: int, distinct: int) -> None:
    rows = scored(clicks, others, False, distinct)
    won = wins(rows)
    naive = math.nan
    if min(clicks, others) > 1:
        naive = math.sqrt(won.mean(1).var(ddof=1) / clicks + won.mean(0).var(ddof=1) / others)
    assert ranking(rows).auc_stderr() == pytest.approx(naive, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("num_bins", [1, 7, 20])
@pytest.mark.parametrize("distinct", [0, 3, 50])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("clicks", "others"), ROWS)
def test_bins(isa: str, clicks: int, others: int, weighted: bool, distinct: int, num_bins: int) -> None:
    rows = scored(clicks, others, weighted, distinct)
    weight = np.ones(len(rows.label)) if rows.weight is None else rows.weight.astype(np.float64)
    sums = np.zeros((num_bins, 3))
    for score in np.unique(rows.logit):
        here, below = rows.logit == score, rows.logit < score
        mass = weight[here].sum()
        place = min(int((weight[below].sum() + mass / 2) / weight.sum() * num_bins), num_bins - 1)
        prob = 1 / (1 + math.exp(-max(min(float(score), 700.0), -700.0)))
        sums[place] += mass, mass * prob, weight[here & rows.label].sum()
    np.testing.assert_allclose(ranking(rows).bin_sums(num_bins), sums, rtol=1e-12, atol=1e-290)


@pytest.mark.parametrize("weighted", [False, True])
def test_neither_threads_nor_parts_change_a_bit(isa: str, weighted: bool) -> None:
    """Several tasks and several pieces of the sort; runs of equal scores as long as a task."""
    rng = np.random.default_rng(0)
    n = 400_000
    weight = rng.random(n, np.float32) if weighted else None
    rows = ScoredRows(np.round(rng.standard_normal(n, np.float32), 4), rng.random(n) < 0.3, weight)
    rows.logit[: n // 2] = 0.25
    cuts = [slice(0, 1), slice(1, 1), slice(1, 250_001), slice(250_001, n)]
    parts = [ScoredRows(*(None if column is None else column[cut] for column in rows)) for cut in cuts]

    def figures(*of: ScoredRows) -> list[float]:
        ranked = ranking(*of)
        return [ranked.auc(), 0.0 if weighted else ranked.auc_stderr(), *ranked.bin_sums(20).ravel().tolist()]

    before = kernels().threads()
    try:
        results = []
        for threads in (1, 2, 5):
            set_threads(threads)
            results += [figures(rows), figures(*parts)]
    finally:
        set_threads(before)
    assert all(result == results[0] for result in results)
    order = np.argsort(rows.logit)
    scores, label = rows.logit[order], rows.label[order]
    mass = np.ones(n) if weight is None else weight.astype(np.float64)[order]
    lost = np.concatenate([[0.0], np.cumsum(np.where(label, 0.0, mass))])
    below = 0.5 * (lost[np.searchsorted(scores, scores)] + lost[np.searchsorted(scores, scores, "right")])
    auc = (mass * below)[label].sum() / (mass[label].sum() * mass[~label].sum())
    assert results[0][0] == pytest.approx(auc, rel=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
def test_nan_and_nothing(isa: str, weighted: bool) -> None:
    rows = scored(3, 5, weighted)
    rows.logit[4] = np.nan
    for odd in (rows, ScoredRows(*(None if column is None else column[:0] for column in rows))):
        ranked = ranking(odd)
        assert math.isnan(ranked.auc())
        assert ranked.bin_sums(20).shape == (0, 3)
        assert weighted or math.isnan(ranked.auc_stderr())


def test_parts_without_weights_count_as_ones(isa: str) -> None:
    with_weights, without = scored(30, 50, True), scored(20, 40, False)
    ones = without._replace(weight=np.ones(60, np.float32))
    assert ranking(with_weights, without).auc() == ranking(joined([with_weights, ones])).auc()


def test_shapes_are_checked(isa: str) -> None:
    items, label = np.zeros(4, np.uint32), np.zeros(5, np.uint8)
    with pytest.raises(ValueError, match="no room for more"):
        kernels().take_items(np.zeros(5, np.float32), label, items, np.array([0, 0]))
    with pytest.raises(ValueError, match=r"label is not \[n\]"):
        kernels().take_items(np.zeros(4, np.float32), label, items, np.array([0, 0]))
    with pytest.raises(ValueError, match="more clicks than rows"):
        kernels().item_delong(items, 5, np.zeros((1, 5), np.uint64))
    with pytest.raises(ValueError, match="sorted is not"):
        kernels().sort_items(items, items[:3], np.zeros((1, 2048), np.uint32))
