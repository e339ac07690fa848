"""Training on all clicks and a share of the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.training.state import Rows

_READ_ROWS = 8_192


class SampledRows:
    """`Rows` of which every click is kept, and every other row with probability w; others are kept in each epoch.

    Of the kept rows the odds of a click are 1 / w times the true odds, q = p / (p + (1 - p) / w) gives the true
    probability q from theirs, p, and so the true logit is theirs plus ln w. A model whose loss is taken at z - ln w
    therefore learns the true logit z itself, and nothing is left to correct after training.

    Reference: He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook", Section 6.3.

    Args:
        rows: all rows; their labels are counted once.
        keep_rate: w, in [0, 1].
    """

    def __init__(self, rows: Rows, keep_rate: float) -> None:
        self._rows, self._keep_rate = rows, keep_rate
        clicks = sum(int(batch.label.sum()) for batch in rows.batches(_READ_ROWS, None) if batch.label is not None)
        self._count = clicks + math.ceil(keep_rate * (len(rows) - clicks))

    def __len__(self) -> int:
        """Rows of an epoch, on average."""
        return self._count

    def batches(self, batch_size: int, seed: int | None, start: int = 0) -> Iterator[Batch]:
        """The kept rows, in the order of `rows`; what is kept depends on the seed alone."""
        return islice(self._full(batch_size, seed), start, None)

    def _full(self, batch_size: int, seed: int | None) -> Iterator[Batch]:
        random = np.random.default_rng([seed or 0, 3])
        left: Batch | None = None
        for batch in self._rows.batches(batch_size, seed):
            assert batch.label is not None
            keep = batch.label.numpy() > 0.5
            keep |= random.random(len(batch)) < self._keep_rate
            kept = batch.take(torch.from_numpy(np.flatnonzero(keep)))
            left = kept if left is None else left.followed_by(kept)
            while len(left) >= batch_size:
                yield left.take(torch.arange(batch_size))
                left = left.take(torch.arange(batch_size, len(left)))
        if left is not None and len(left):
            yield left
