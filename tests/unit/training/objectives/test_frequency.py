"""The streaming estimate of how often an item is in a batch."""

from __future__ import annotations

import numpy as np
import pytest

from clickwise.training.objectives.frequency import FrequencyEstimator


def items(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def test_a_hand_worked_stream() -> None:
    estimator = FrequencyEstimator(10, rate=0.25)
    estimator.update(items(7), 2)  # first seen: B = 2
    assert estimator.probability(items(7)).tolist() == [1 / 2]
    estimator.update(items(7, 8), 6)  # B = 0.75 * 2 + 0.25 * 4 = 2.5
    assert estimator.probability(items(7, 8, 9)).tolist() == pytest.approx([1 / 2.5, 1 / 6, 0.0])
    estimator.update(items(7), 7)  # B = 0.75 * 2.5 + 0.25 * 1
    assert estimator.probability(items(7)).tolist() == pytest.approx([1 / 2.125])


def test_estimates_come_near_the_truth_whatever_the_hash_does() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.9, 0.5, 0.1, 0.05])
    names = np.array([3, 5, 6, 11], np.uint64)
    estimator = FrequencyEstimator(4, rate=0.02)
    found = []
    for step in range(1, 12_001):
        estimator.update(names[rng.random(4) < truth], step)
        if step > 2000:
            found.append(estimator.probability(names).numpy())
    np.testing.assert_allclose(1.0 / np.mean(1.0 / np.array(found), axis=0), truth, rtol=0.15)


def test_a_collision_in_one_table_is_made_up_for_by_the_other() -> None:
    estimator = FrequencyEstimator(1, num_tables=2)
    at = [bucket.tolist() for bucket in estimator._buckets(np.arange(100_000, dtype=np.uint64))]
    other = next(i for i in range(1, 100_000) if at[0][i] == at[0][0] and at[1][i] != at[1][0])
    for step in range(1, 201):
        estimator.update(items(*([0, other] if step % 10 == 0 else [other])), step)
    assert estimator.probability(items(0)).item() == pytest.approx(0.1, rel=1e-3)


def test_its_state_is_all_it_knows() -> None:
    rng = np.random.default_rng(1)
    stream = [np.unique(rng.integers(0, 50, 8)).astype(np.uint64) for _ in range(40)]
    whole, first, second = (FrequencyEstimator(50) for _ in range(3))
    for step, batch in enumerate(stream, 1):
        whole.update(batch, step)
        (first if step <= 20 else second).update(batch, step)
        if step == 20:
            for key, tensor in second.state().items():
                tensor.copy_(first.state()[key])
    names = np.arange(50, dtype=np.uint64)
    assert whole.probability(names).equal(second.probability(names))
