"""`Step`: so many requests a second for so long, sent when they are due whether or not earlier ones were answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clickwise.serving.loadtest.connection import Connection, Target

_TIMEOUT_S = 10.0
_MOST_CONNECTIONS = 500
"""`select`, whose clock is finer than epoll's milliseconds, knows 1,024 files at most."""
BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Step:
    """What became of n requests.

    Args:
        rate: that was asked for, a second.
        seconds: from the first time that one was due to the last answer.
        latency_s: [n], from when a request was due, not from when it was sent; infinite without an answer.
        status: [n] of HTTP; 0 without an answer.
        late_s: [n], how long after it was due the load generator turned to it: its own delay, in the latency too. What
            a request waits then, until one of so many connections is free, is the server's.
    """

    rate: float
    seconds: float
    latency_s: np.ndarray
    status: np.ndarray
    late_s: np.ndarray

    @property
    def answered(self) -> np.ndarray:
        """[n] bool, those with scores."""
        return self.status == 200

    def percentile_ms(self, percent: float) -> float:
        """Of the latencies of the answered; NaN without any."""
        found = self.latency_s[self.answered]
        return float(np.percentile(found, percent) * 1000) if len(found) else float("nan")

    def goodput(self, bound_ms: float) -> float:
        """Answers within the bound, a second."""
        return float((self.answered & (self.latency_s * 1000 <= bound_ms)).sum() / self.seconds)

    def holds(self, bound_ms: float) -> bool:
        """Whether 99 of 100 requests, those that failed included, were answered within the bound."""
        within = self.answered & (self.latency_s * 1000 <= bound_ms)
        return bool(within.mean() >= 0.99)

    @property
    def late_ms(self) -> float:
        """The 99th percentile of `late_s`."""
        return float(np.percentile(self.late_s, 99) * 1000)

    def is_spoiled(self, bound_ms: float) -> bool:
        """Whether the load generator's own delay breaks the bound, which says nothing of the server."""
        return self.late_ms > bound_ms


def due_times(rate: float, seconds: float, seed: int) -> np.ndarray:
    """When requests are due: Poisson arrivals from 0 to `seconds`, at least one.  [n]"""
    chance = np.random.default_rng(seed)
    times = np.cumsum(chance.exponential(1 / rate, int(rate * seconds * 1.2) + 20))
    return times[: max(1, int(np.searchsorted(times, seconds)))]


async def run_step(target: Target, bodies: Sequence[bytes], rate: float, seconds: float, seed: int = 0) -> Step:
    """Send requests at a rate and wait for all answers, ten seconds each at most.

    Args:
        bodies: to send in turn.
    """
    due = due_times(rate, seconds, seed)
    requests = [target.request(body) for body in bodies]
    latency, late = np.full(len(due), np.inf), np.zeros(len(due))
    status = np.zeros(len(due), np.int64)
    free: list[Connection] = []
    places = asyncio.Semaphore(_MOST_CONNECTIONS)
    begin = time.perf_counter() + 0.05

    async def send(at: int) -> None:
        late[at] = time.perf_counter() - begin - due[at]
        connection = None
        try:
            async with asyncio.timeout(_TIMEOUT_S), places:
                connection = await _connection(free, target)
                status[at] = await connection.ask(requests[at % len(requests)])
                latency[at] = time.perf_counter() - begin - due[at]
                if connection.is_open:
                    free.append(connection)
        except (OSError, TimeoutError):
            if connection is not None:
                connection.close()

    async with asyncio.TaskGroup() as running:  # which forgets who is done: a heap of them is long to collect
        for at, when in enumerate(due.tolist()):
            wait = begin + when - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            running.create_task(send(at))
    spent = time.perf_counter() - begin
    for connection in free:
        connection.close()
    return Step(rate, max(spent, seconds), latency, status, late)


async def _connection(free: list[Connection], target: Target) -> Connection:
    """One that is open and has nothing to do: the one used last, or a new one."""
    while free:
        connection = free.pop()
        if connection.is_open:
            return connection
    _, made = await asyncio.get_running_loop().create_connection(Connection, target.host, target.port)
    return made
