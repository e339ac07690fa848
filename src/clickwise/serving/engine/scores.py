"""`Scores`: what the engine answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clickwise.metrics import probability


class Scores(NamedTuple):
    """What a model says of candidates, in their order.

    Args:
        logits: [n] float32, calibrated.
        ignored: names of keys of the request that are no columns of the model, at most 16 different ones.
    """

    logits: np.ndarray
    ignored: tuple[str, ...] = ()

    @property
    def probabilities(self) -> np.ndarray:
        """Probabilities of a click [n] float64."""
        return probability(self.logits)
