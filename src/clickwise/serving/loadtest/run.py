"""`load_test`: steps of rate until the bound on latency breaks, then between the last that held and the first that
did not.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from clickwise.config import require
from clickwise.errors import ClickwiseError
from clickwise.serving.loadtest.connection import Target
from clickwise.serving.loadtest.report import LoadReport
from clickwise.serving.loadtest.step import Step, run_step

_FIRST_RATE, _GROWTH, _REFINEMENTS, _MOST_STEPS = 50.0, 1.5, 3, 25
_WARM_UP_S = 1.0


def target_of(url: str, key: str = "") -> Target:
    """Where the requests for the server at `url` go.

    Raises:
        ConfigError: it is no http address.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    require(parts.scheme == "http" and bool(parts.hostname), "URL", url, "an address such as http://127.0.0.1:8080")
    return Target(str(parts.hostname), parts.port or 80, "/v1/score", key)


def load_test(
    target: Target,
    bodies: Sequence[bytes],
    *,
    bound_ms: float,
    seconds: float = 10.0,
    rates: Sequence[float] = (),
    note: Callable[[Step], None] = lambda step: None,
) -> LoadReport:
    """Measure how many requests a second a server answers within a bound. A step that the load generator itself spoils
    is repeated once.

    Args:
        bodies: of the requests, sent in turn.
        bound_ms: that 99 of 100 requests are to keep.
        seconds: of each step.
        rates: of the steps; none: rising by half until the bound breaks, then closer to where it does.
        note: is told of each step.

    Raises:
        ClickwiseError: the server answers nothing at all.
    """

    def step(rate: float, within_s: float = seconds) -> Step:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
            return runner.run(run_step(target, bodies, rate, within_s, seed=len(steps)))

    steps: list[Step] = []
    first = step(rates[0] if rates else _FIRST_RATE, _WARM_UP_S)
    if not first.answered.any():
        told = sorted({int(status) for status in first.status})
        raise ClickwiseError(f"http://{target.host}:{target.port}{target.path}: no request was answered; status {told}")

    def measured(rate: float) -> bool:
        found = step(rate)
        if found.is_spoiled(bound_ms):
            found = step(rate)
        steps.append(found)
        note(found)
        return found.holds(bound_ms)

    for rate in rates:
        measured(rate)
    if not rates:
        _climb(measured)
    return LoadReport(tuple(sorted(steps, key=lambda one: one.rate)), bound_ms)


def _climb(holds: Callable[[float], bool]) -> None:
    """Rates that rise until one does not hold, then some in between."""
    good, rate = 0.0, _FIRST_RATE
    for _ in range(_MOST_STEPS):
        if not holds(rate):
            break
        good, rate = rate, rate * _GROWTH
    for _ in range(_REFINEMENTS):
        middle = (good + rate) / 2
        if holds(middle):
            good = middle
        else:
            rate = middle
