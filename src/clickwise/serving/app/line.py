"""`Line`: requests that wait to be scored, one after the other, no more than a few."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from clickwise.serving.app.http import Refused

T = TypeVar("T")

_WEIGHT = 0.05
"""Of the latest job in the mean."""


class _Job(NamedTuple):
    work: Callable[[], Any]
    until: float
    answer: asyncio.Future[Any]


class Line:
    """Work is done in the thread of the event loop, one piece between two rounds of the loop: whoever arrives
    meanwhile is let in or turned away before the next piece begins, and nothing is handed from thread to thread.

    Args:
        most: jobs that may wait.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.mean_s = 0.0  # that a job takes, the latest ones above all
        self._waiting: deque[_Job] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def run(self, work: Callable[[], T], until: float) -> T:
        """What `work` gives, when its turn has come.

        Args:
            until: when it is too late to begin, on the clock of `time.perf_counter`.

        Raises:
            Refused: 503, too many wait already, or its turn would come or came too late.
        """
        if len(self._waiting) >= self.most:
            raise Refused(503, f"{self.most} requests wait already (max_waiting); try again later or elsewhere")
        if time.perf_counter() + len(self._waiting) * self.mean_s > until:
            raise Refused(503, "its turn would come after its deadline; try again later or elsewhere")
        loop = asyncio.get_running_loop()
        job = _Job(work, until, loop.create_future())
        self._waiting.append(job)
        if len(self._waiting) == 1:
            loop.call_soon(self._next)
        return await job.answer

    def _next(self) -> None:
        while self._waiting and not self._done(self._waiting[0]):
            self._waiting.popleft()
        if self._waiting:
            self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def _done(self, job: _Job) -> bool:
        """Do one; False when nobody waits for it any more."""
        if job.answer.done():
            return False
        began = time.perf_counter()
        if began > job.until:
            job.answer.set_exception(Refused(503, "the deadline was over before its turn came; try again later"))
            return False
        try:
            job.answer.set_result(job.work())
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the answer
            job.answer.set_exception(error)
        self.mean_s += _WEIGHT * (time.perf_counter() - began - self.mean_s)
        return True
