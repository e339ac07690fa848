"""What dropout keeps, by the hash that `machine/dropout.hpp` documents, in NumPy."""

from __future__ import annotations

import numpy as np


def dropout_mask(seed: int, layer: int, rows: int, columns: int, share: float) -> np.ndarray:
    """[rows, columns], true where an activation stays."""
    u64, u32 = np.uint64, np.uint32
    with np.errstate(over="ignore"):
        x = u64(seed) + u64(0x9E3779B97F4A7C15) * np.arange(1, rows + 1, dtype=u64) + (u64(layer) << u64(40))
        x = (x ^ (x >> u64(30))) * u64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> u64(27))) * u64(0x94D049BB133111EB)
        x ^= x >> u64(31)
        first, second = x.astype(u32)[:, None], (x >> u64(32)).astype(u32)[:, None]
        h = np.arange(columns, dtype=u32) * u32(0x9E3779B9) + first
        h = (h ^ (h >> u32(16))) * u32(0x7FEB352D)
        h = (h ^ (h >> u32(15)) ^ second) * u32(0x846CA68B)
        return (h ^ (h >> u32(16))) >= u32(share * 2**32)
