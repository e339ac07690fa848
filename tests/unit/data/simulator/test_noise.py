from __future__ import annotations

import numpy as np
import pytest

from clickwise.data.simulator.noise import Noise, zipf, zipf_share

INDEX = np.arange(200_000)
FROZEN = [1614310978422217078, 16138418149442905559, 16349945130323785734]


def test_numbers_are_frozen():
    """A change of these changes every simulated data set ever published."""
    assert Noise(7).bits("user age", np.array([0, 1, 2**40])).tolist() == FROZEN


def test_uniform_numbers_are_uniform():
    uniform = Noise(1).uniform("x", INDEX)
    assert uniform.min() >= 0.0 and uniform.max() < 1.0
    counts = np.bincount((uniform * 100).astype(int), minlength=100)
    assert ((counts - 2_000.0) ** 2 / 2_000.0).sum() < 160.0  # chi-square with 99 degrees: 160 is beyond 1 in 10,000


def test_normal_numbers_are_normal():
    normal = Noise(1).normal("x", INDEX)
    assert normal.mean() == pytest.approx(0.0, abs=0.01)
    assert normal.std() == pytest.approx(1.0, abs=0.01)
    assert (normal < 1.0).mean() == pytest.approx(0.8345, abs=0.004)  # sum of four uniforms; a normal has .8413


def test_a_normal_number_is_the_standardised_sum_of_the_quarters_of_its_bits():
    for index in range(3):
        bits = int(Noise(1).bits("x", index)[0])
        quarters = [(bits >> shift) % 65_536 / 65_536 for shift in (0, 16, 32, 48)]
        expected = (sum(quarters) - 4 * 0.5 * 65_535 / 65_536) / (4 / 12) ** 0.5
        assert Noise(1).normal("x", index)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Noise(1).uniform("x", INDEX), Noise(2).uniform("x", INDEX)),
        (Noise(1).uniform("x", INDEX), Noise(1).uniform("y", INDEX)),
        (Noise(1).uniform("x", INDEX), Noise(1).uniform("x", INDEX + 1)),
        (Noise(1).uniform("x", 0, INDEX), Noise(1).uniform("x", 1, INDEX)),
        (Noise(1).uniform("x", INDEX, 3), Noise(1).uniform("x", 3, INDEX)),
    ],
    ids=["seed", "purpose", "neighbour", "first index", "order of indices"],
)
def test_streams_are_independent(one, other):
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.01


def test_numbers_depend_on_nothing_else():
    whole = Noise(5).normal("x", 3, INDEX)
    np.testing.assert_array_equal(whole[1_000:1_010], Noise(5).normal("x", 3, INDEX[1_000:1_010]))


def test_zipf_follows_its_law():
    rank = zipf(Noise(0).uniform("rank", INDEX), 50, 5.0, 1.5)
    assert (rank.min(), rank.max()) == (0, 49)
    edges = (np.arange(51) + 5.0) ** -0.5
    expected = -np.diff(edges) / (edges[0] - edges[-1])
    np.testing.assert_allclose(np.bincount(rank) / len(rank), expected, atol=0.003)
    np.testing.assert_allclose(zipf_share(np.arange(50), 50, 5.0, 1.5), expected, rtol=1e-12)
