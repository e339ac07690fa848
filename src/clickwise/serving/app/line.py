"""`Line`: requests that wait to be scored, one after the other, no more than a few."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from clickwise.serving.app.http import TurnedAway

T = TypeVar("T")

_WEIGHT = 0.05
"""Of the latest turn in the mean."""
_FEW = 4
"""Turns in which most bodies are read."""
_STANDS = 4
"""Times as long as whoever comes has: bursts that a server can carry are over by then."""


class _Job(NamedTuple):
    work: Callable[[], Any]
    until: float
    answer: asyncio.Future[Any]


class Line:
    """Work is done in the thread of the event loop, one piece between two rounds of the loop: whoever arrives
    meanwhile is let in or turned away before the next piece begins, and nothing is handed from thread to thread.

    Where somebody has always waited for much longer than whoever comes has time, there are more jobs than can be done,
    and a long line only makes all of them late: then it is kept so short that he waits for half of his time.

    Args:
        most: jobs that may wait.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.turn_s = 0.0  # a job and what the loop does for all who come meanwhile; the latest ones above all
        self._waiting: deque[_Job] = deque()
        self._began = 0.0  # the turn that goes on; 0 while nobody waits
        self._since = 0.0  # when somebody waited first, after nobody did
        self._coming: dict[object, float] = {}  # who was let in and is still being read, since when

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def lag_s(self) -> float:
        """For how long, about, what is seen now was there before: the loop looks once a turn."""
        return self.turn_s if self._waiting else 0.0

    def let_in(self, until: float) -> object:
        """Somebody who will join, when he has been read; for a few turns he counts as if he had: then he is slow.

        Raises:
            TurnedAway: as `check` does, counting those who come before him.
        """
        now = time.perf_counter()
        for who in [who for who, since in self._coming.items() if now - since > _FEW * self.turn_s]:
            del self._coming[who]
        self.check(until, len(self._coming))
        who = object()
        self._coming[who] = now
        return who

    def has_come(self, who: object) -> None:
        """Who was let in has been read, or left."""
        self._coming.pop(who, None)

    def check(self, until: float, coming: int = 0) -> None:
        """Whether a job that joined now, after so many that are coming, would be done in time. Who finds nobody waiting
        is always let in.

        Args:
            until: when it is too late, on the clock of `time.perf_counter`.

        Raises:
            TurnedAway: too many wait already, or it would be done too late.
        """
        if len(self._waiting) >= self.most:
            raise TurnedAway(f"{self.most} requests wait already (max_waiting); try again later or elsewhere")
        if not self._waiting:
            return
        now = time.perf_counter()
        left = until - now
        if now - self._since > _STANDS * left:
            left /= 2
        if (len(self._waiting) + coming + 1) * self.turn_s > left:
            raise TurnedAway("it would be scored after its deadline; try again later or elsewhere")

    async def run(self, work: Callable[[], T], until: float) -> T:
        """What `work` gives, when its turn has come.

        Raises:
            TurnedAway: as `check` does, now or when the turn comes.
        """
        self.check(until)
        loop = asyncio.get_running_loop()
        job = _Job(work, until, loop.create_future())
        self._waiting.append(job)
        if len(self._waiting) == 1:
            self._since = time.perf_counter()
            loop.call_soon(self._next)
        return await job.answer

    def _next(self) -> None:
        now = time.perf_counter()
        if self._began:
            self._took(now - self._began)
        while self._waiting and not self._done(self._waiting[0], now):
            self._waiting.popleft()
        if self._waiting:
            self._waiting.popleft()
        if self._waiting:
            self._began = now
            asyncio.get_running_loop().call_soon(self._next)
        else:
            self._began = 0.0
            self._took(time.perf_counter() - now)

    def _done(self, job: _Job, now: float) -> bool:
        """Do one; False when nobody waits for it any more, or it would be late and others wait."""
        if job.answer.done():
            return False
        if now + (self.turn_s if len(self._waiting) > 1 else 0.0) > job.until:
            job.answer.set_exception(TurnedAway("its deadline was over before its turn came; try again later"))
            return False
        try:
            job.answer.set_result(job.work())
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the answer
            job.answer.set_exception(error)
        return True

    def _took(self, seconds: float) -> None:
        self.turn_s += _WEIGHT * (seconds - self.turn_s)
