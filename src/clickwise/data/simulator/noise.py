"""Random numbers that are a pure function of a seed, a purpose and one or more indices.

There is no state and no order of drawing: row 12,345,678 gets the same numbers in a chunk of any size, and a user's
attributes need no table. The hash is the finaliser of SplitMix64 (Steele et al. 2014), one round an index.
"""

from __future__ import annotations

import hashlib

import numpy as np

from clickwise.features.sampling import GOLDEN_GAMMA, mix64

Indices = np.ndarray | int


class Noise:
    """The random numbers of one seed.

    >>> Noise(7).uniform("age", np.array([3, 5]))[1] == Noise(7).uniform("age", np.array([5]))[0]
    np.True_
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def bits(self, purpose: str, *indices: Indices) -> np.ndarray:
        """64 random bits for each combination of indices, broadcast together.  [n] or their shape, uint64"""
        digest = hashlib.blake2b(f"{self._seed}/{purpose}".encode(), digest_size=8).digest()
        state = np.frombuffer(digest, "<u8").astype(np.uint64)
        for index in indices:
            state = mix64(state + GOLDEN_GAMMA * np.atleast_1d(index).astype(np.uint64))
        return state

    def uniform(self, purpose: str, *indices: Indices) -> np.ndarray:
        """Uniform in [0, 1).  [n] float64"""
        return (self.bits(purpose, *indices) >> np.uint64(11)) * 2.0**-53

    def normal(self, purpose: str, *indices: Indices) -> np.ndarray:
        """Mean 0, variance 1, nearly normal, within 3.5: the sum of the four 16-bit quarters of a hash.  [n] float64"""
        bits = self.bits(purpose, *indices)
        quarters = bits.view(np.uint16).reshape(*bits.shape, 4)
        total = quarters[..., 0].astype(np.int64) + quarters[..., 1] + quarters[..., 2] + quarters[..., 3]
        return (total - 131_070.0) * (3.0**0.5 / 65_536.0)

    def vectors(self, purpose: str, size: int, *indices: Indices) -> np.ndarray:
        """`size` independent `normal` numbers for each combination of indices.  [size, n] float64"""
        return np.stack([self.normal(f"{purpose}/{i}", *indices) for i in range(size)])


def zipf(uniform: np.ndarray, count: int, offset: float, exponent: float) -> np.ndarray:
    """Ranks in [0, count) with density proportional to (rank + offset)^-exponent: a few often, most hardly ever.  [n]

    The closed inverse of the Zipf-Mandelbrot law over real ranks. The exponent is not 1.
    """
    power = 1.0 - exponent
    low, high = offset**power, (count + offset) ** power
    rank = (low + uniform * (high - low)) ** (1.0 / power) - offset
    return np.clip(rank.astype(np.int64), 0, count - 1)


def zipf_share(rank: np.ndarray, count: int, offset: float, exponent: float) -> np.ndarray:
    """The chance that `zipf` draws each rank.  [...]"""
    power = 1.0 - exponent
    low, high = offset**power, (count + offset) ** power
    share: np.ndarray = ((rank + 1.0 + offset) ** power - (rank + offset) ** power) / (high - low)
    return share
