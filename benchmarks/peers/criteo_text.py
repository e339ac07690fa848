"""What the journeys of the other libraries share: the columns of Criteo's text, and a clock."""

from __future__ import annotations

import json
import time

NUMBERS, TOKENS = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]


class Stages:
    """Seconds of one stage after the other."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._clock = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The stage that ends here."""
        self._seconds[stage] = time.perf_counter() - self._clock
        self._clock = time.perf_counter()

    def print(self, quality: dict[str, float]) -> None:
        """What `journey.py` reads: one line of JSON."""
        print(json.dumps({"seconds": self._seconds, **{name: float(value) for name, value in quality.items()}}))
