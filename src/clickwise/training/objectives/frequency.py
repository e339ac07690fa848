"""How often an item comes, estimated from the stream of batches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from clickwise.features.sampling import splitmix64


class FrequencyEstimator:
    """The probability that an item is in a batch: one over the mean number of steps from one batch that has it to the
    next, B, kept as a moving average.

    At step t, for each item of the batch: B <- (1 - a) B + a (t - A), A <- t, in a table of buckets that items are
    hashed to; of several tables the one with the largest B counts, which collisions disturb least. The first time B is
    t itself instead of the share a of it.

    Reference: Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations",
    Algorithms 2 and 3.

    Args:
        num_items: about how many items there are; each table has four times as many buckets.
        rate: a, in (0, 1].
        num_tables: tables, each with a hash of its own.
    """

    def __init__(self, num_items: int, rate: float = 0.05, num_tables: int = 2) -> None:
        self._rate = rate
        buckets = 1 << max(10, (4 * num_items - 1).bit_length())
        self._last = torch.zeros(num_tables, buckets, dtype=torch.int64)  # A; 0: never
        self._gap = torch.zeros(num_tables, buckets)  # B

    def update(self, items: np.ndarray, step: int) -> None:
        """Take in the items of a batch.

        Args:
            items: [n] uint64, all different.
            step: t >= 1, higher than before.
        """
        for last, gap, at in zip(self._last, self._gap, self._buckets(items), strict=True):
            before = last[at]
            since = (step - before).float()
            gap[at] = torch.where(before == 0, since, torch.lerp(gap[at], since, self._rate))
            last[at] = step

    def probability(self, items: np.ndarray) -> Tensor:
        """[n] float32, 1 / B; 0 for items that never came."""
        gap = torch.stack([gap[at] for gap, at in zip(self._gap, self._buckets(items), strict=True)]).amax(0)
        return torch.where(gap > 0.0, 1.0 / gap, 0.0)

    def state(self) -> dict[str, Tensor]:
        """The live tensors."""
        return {"last_step": self._last, "gap": self._gap}

    def _buckets(self, items: np.ndarray) -> list[Tensor]:
        """The bucket of each item in each table."""
        tables, buckets = self._gap.shape
        hashed = [splitmix64(items ^ np.uint64(table)) % np.uint64(buckets) for table in range(tables)]
        return [torch.from_numpy(each.astype(np.int64)) for each in hashed]
