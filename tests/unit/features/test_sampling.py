from __future__ import annotations

import numpy as np

from clickwise.features.sampling import BottomK, quantile_cuts, splitmix64


def test_splitmix64_gives_its_published_stream() -> None:
    gamma = 0x9E3779B97F4A7C15  # the generator adds this to its state before each draw
    states = np.array([1234567 + i * gamma & 2**64 - 1 for i in range(3)], np.uint64)
    assert splitmix64(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_all_values_are_kept_up_to_k() -> None:
    sample = BottomK(k=5)
    sample.add(np.array([3.0, np.nan, 1.0]))
    sample.add(np.array([5.0, 2.0, 4.0]))
    assert sample.sorted_values().tolist() == [1, 2, 3, 4, 5]


def test_the_sample_does_not_depend_on_the_chunks() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    values[::7] = np.nan
    samples = []
    for pieces in (1, 3, 500):
        sample = BottomK(k=100)
        for chunk in np.array_split(values, pieces):
            sample.add(chunk)
        samples.append(sample.sorted_values().tolist())
    assert samples[0] == samples[1] == samples[2]
    assert len(samples[0]) == 100


def test_the_sample_is_uniform_over_the_stream() -> None:
    sample = BottomK(k=4000, seed=3)
    sample.add(np.arange(100_000.0))
    kept = sample.sorted_values()
    assert len(np.unique(kept)) == 4000
    share = np.histogram(kept, bins=10, range=(0, 100_000))[0] / 4000
    assert np.abs(share - 0.1).max() < 0.02  # four standard errors


def test_another_seed_keeps_others() -> None:
    kept = []
    for seed in (0, 1):
        sample = BottomK(k=10, seed=seed)
        sample.add(np.arange(1000.0))
        kept.append(sample.sorted_values().tolist())
    assert kept[0] != kept[1]


def test_quantile_cuts_split_evenly() -> None:
    assert quantile_cuts(np.arange(12.0), 4).tolist() == [3, 6, 9]
    assert quantile_cuts(np.array([1.0, 2.0]), 4).tolist() == [1, 2, 2]
    assert quantile_cuts(np.zeros(0), 4).tolist() == []
