"""One line of JSON a request, and one for whatever else happens, on stderr."""

from __future__ import annotations

import random
import sys
import time
from typing import Any, TextIO

import msgspec

from clickwise.serving.app.http import Request, Response

_LONGEST_PATH = 200


class Log:
    """Args:
    share: of the requests that are written, in [0, 1], where nothing is wrong; all others are. Those that were turned
        away because of too many others are counted.
    stream: where to; None: stderr.
    """

    def __init__(self, share: float, stream: TextIO | None = None) -> None:
        self.share = share
        self._stream = stream
        self._chance = random.Random()
        self._turned_away = 0

    def request(self, request: Request, response: Response, seconds: float) -> None:
        """A request that was answered."""
        if response.turned_away:
            self.turned_away()
        elif response.status >= 400 or self.share >= 1.0 or self._chance.random() < self.share:
            self._write(
                "request",
                id=request.id.decode("ascii"),
                method=request.method,
                path=request.path[:_LONGEST_PATH],
                status=response.status,
                ms=round(seconds * 1000, 3),
                version=response.version or None,
                candidates=response.rows or None,
            )

    def turned_away(self) -> None:
        """One request of those that are counted."""
        self._turned_away += 1

    def tell_turned_away(self) -> None:
        """How many requests were turned away since this was told last, where any were."""
        count = self._turned_away
        if count:
            self._turned_away -= count
            self._write("turned_away", requests=count)

    def event(self, event: str, **facts: Any) -> None:
        """Whatever else happens."""
        self._write(event, **facts)

    def _write(self, event: str, **facts: Any) -> None:
        told = {name: value for name, value in facts.items() if value is not None}
        line = msgspec.json.encode({"time": round(time.time(), 3), "event": event, **told}).decode()
        (self._stream or sys.stderr).write(line + "\n")
