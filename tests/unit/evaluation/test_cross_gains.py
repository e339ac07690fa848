"""Gains of crosses: a planted pair is found, chance is not, and each weight is the optimum it should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from clickwise.evaluation import CrossGain, ScoredRows, cross_gains
from clickwise.metrics import probability
from clickwise.metrics.logistic import row_log_loss
from clickwise.progress import Progress
from clickwise.schema import Field, InputSpec

SPEC = InputSpec(
    fields=(
        Field(name="a", num_ids=8),
        Field(name="b", num_ids=7),
        Field(name="tags", num_ids=9, length=3),
        Field(name="noise", num_ids=40),
    )
)


def rows_of(count: int, seed: int, effect: float = 1.0) -> ScoredRows:
    """The truth is the base logit plus an effect of each pair (a, tag)."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 8, count), rng.integers(0, 7, count)
    tags = rng.integers(1, 9, (count, 3))
    tags[rng.random(count) < 0.5, 2] = -1
    planted = np.random.default_rng(9).normal(size=(8, 9)) * effect
    planted[:2] = planted[:, :2] = 0  # of reserved ids
    logit = rng.normal(-1.5, 0.3, count)
    truth = logit + (planted[a[:, None], tags] * (tags >= 0)).sum(1)
    ids = np.column_stack([a, b, tags, rng.integers(0, 40, count)])
    offsets = np.array([1, 9, 16, 16, 16, 25])
    sparse = np.where(ids < 0, 0, ids + offsets).astype(np.int32)
    label = (rng.random(count) < probability(truth)).astype(np.float64)
    return ScoredRows(sparse, logit, label, rng.uniform(0.5, 1.5, count))


def gains_of(effect: float, known: list[tuple[str, str]] | None = None) -> dict[tuple[str, str], CrossGain]:
    gains = cross_gains(rows_of(8000, 1, effect), rows_of(4000, 2, effect), SPEC, known or [], Progress())
    assert [g.gain for g in gains] == sorted((g.gain for g in gains), reverse=True)
    return {g.of: g for g in gains}


def test_the_planted_pair_is_found_and_the_others_are_not() -> None:
    gains = gains_of(1.0)
    assert len(gains) == 6
    planted = gains.pop(("a", "tags"))
    assert planted.z > 10
    assert planted.combinations == 6 * 7
    assert max(g.z for name, g in gains.items() if "tags" not in name and "a" not in name) < 3
    assert planted.gain > 3 * max(g.gain for g in gains.values())
    assert ("a", "tags") not in gains_of(1.0, known=[("tags", "a")])


def test_chance_gains_nothing() -> None:
    assert max(g.z for g in gains_of(0.0).values()) < 3
    assert min(g.gain for g in gains_of(0.0).values()) > -5e-4  # shrinking keeps what is learned of noise small


def test_the_gain_is_that_of_the_penalised_optimum() -> None:
    """By SciPy, over the two-field pair a x b, on rows where it matters."""
    train, held_out = rows_of(3000, 1), rows_of(1000, 2)
    planted = np.random.default_rng(4).normal(size=(9, 16))

    def shifted(rows: ScoredRows) -> ScoredRows:
        prob = probability(rows.logit + planted[rows.sparse[:, 0], rows.sparse[:, 1]])
        label = (np.random.default_rng(len(prob)).random(len(prob)) < prob).astype(np.float64)
        return rows._replace(label=label)

    train, held_out = shifted(train), shifted(held_out)
    spec = InputSpec(fields=SPEC.fields[:2])
    train, held_out = (rows._replace(sparse=rows.sparse[:, :2]) for rows in (train, held_out))
    (gain,) = cross_gains(train, held_out, spec, [], Progress())

    def combination(rows: ScoredRows) -> np.ndarray:
        a, b = rows.sparse[:, 0] - 1, rows.sparse[:, 1] - 9
        return np.where((a >= 2) & (b >= 2), (a - 2) * 5 + b - 2, 30)

    assert np.bincount(combination(train)).min() >= 5
    at, new, w = combination(train), combination(held_out), train.weight
    p = probability(train.logit)
    pull, noise, slope = (
        np.array([values[at == k].sum() for k in range(30)])
        for values in (w * (train.label - p), w**2 * p * (1 - p), w * p * (1 - p))
    )
    ridge = (slope**2).sum() / (pull**2 - noise).sum()

    def penalised(x: np.ndarray) -> float:
        loss = w * row_log_loss(train.logit + np.append(x, 0)[at], train.label)
        return float(loss.sum() + ridge / 2 * (x**2).sum())

    best = np.append(minimize(penalised, np.zeros(30), tol=1e-12).x, 0)
    logit, y = held_out.logit, held_out.label
    saved = row_log_loss(logit, y) - row_log_loss(logit + best[new], y)
    share = held_out.weight / held_out.weight.sum()
    wanted = float((share * saved).sum())
    assert gain.gain == pytest.approx(wanted, rel=1e-4)
    assert gain.standard_error == pytest.approx(float(np.sqrt((share**2 * (saved - wanted) ** 2).sum())), rel=1e-3)
    assert (gain.combinations, gain.covered) == (30, pytest.approx((new < 30).mean()))


def test_pairs_without_frequent_combinations_gain_nothing() -> None:
    few = rows_of(8, 3)
    gains = cross_gains(few, few, SPEC, [], Progress())
    assert {(g.combinations, g.gain, g.z) for g in gains} == {(0, 0.0, 0.0)}
