"""`Scores`: what the engine answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clickwise.features.pipeline import Encoded
from clickwise.metrics import probability
from clickwise.serving.engine.request import Request
from clickwise.serving.features.lookups import LookedUp


class Served(NamedTuple):
    """What was served.

    Args:
        request: as it was read.
        encoded: what the model was given for it.
    """

    request: Request
    encoded: Encoded


class Scores(NamedTuple):
    """What a model says of candidates, in their order.

    Args:
        logits: [n] float32, calibrated.
        ignored: names of keys of the request that are no columns of the model, at most 16 different ones.
        looked_up: how the look-ups went, one an entity.
        served: what these are the scores of; None: of nothing.
    """

    logits: np.ndarray
    ignored: tuple[str, ...] = ()
    looked_up: tuple[LookedUp, ...] = ()
    served: Served | None = None

    @property
    def probabilities(self) -> np.ndarray:
        """Probabilities of a click [n] float64."""
        return probability(self.logits)
