"""Who may join the line, and who is still done in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from clickwise.serving.app.http import TurnedAway
from clickwise.serving.app.line import Line


def waiting(line: Line, number: int, turn_s: float = 1.0) -> None:
    """Let so many wait, each for a turn."""
    line.turn_s = turn_s
    for _ in range(number):
        line._waiting.append(None)  # type: ignore[arg-type]
    line._since = time.perf_counter()


def fits(line: Line, within_s: float) -> bool:
    try:
        line.check(time.perf_counter() + within_s)
    except TurnedAway:
        return False
    return True


def test_its_own_turn_counts_too() -> None:
    line = Line(64)
    waiting(line, 4)
    assert fits(line, 5.5) and not fits(line, 4.5)
    assert line.lag_s == 1.0


def test_who_finds_nobody_waiting_is_let_in() -> None:
    """Else a slow job would shut the door for good."""
    line = Line(64)
    waiting(line, 0, turn_s=9.0)
    assert fits(line, 0.001) and line.lag_s == 0.0


def test_no_more_than_a_few() -> None:
    line = Line(4)
    waiting(line, 4, turn_s=0.0)
    assert not fits(line, 9.0)


def test_a_line_that_stands_is_kept_short() -> None:
    line = Line(64)
    waiting(line, 4)
    line._since -= 100.0
    assert fits(line, 11.0) and not fits(line, 9.0)
    line._since += 70.0
    assert fits(line, 9.0), "a burst may last for a while"


def test_who_is_being_read_counts_until_he_is_slow() -> None:
    line, until = Line(64), time.perf_counter() + 5.5
    waiting(line, 2)
    first, second = line.let_in(until), line.let_in(until)
    with pytest.raises(TurnedAway):
        line.let_in(until - 1.0)
    assert fits(line, 3.5), "he has been read, and is before them"
    for who in line._coming:
        line._coming[who] -= 5.0
    third = line.let_in(until - 1.0)
    assert len(line._coming) == 1
    for who in (first, second, third):
        line.has_come(who)
    assert not line._coming


@pytest.mark.parametrize("works_s", [0.0, 0.002])
def test_a_turn_is_all_that_the_loop_does_meanwhile(works_s: float) -> None:
    """The job, and whatever else comes between it and the next."""
    line = Line(64)

    async def other() -> None:
        for _ in range(60):
            time.sleep(0.002)
            await asyncio.sleep(0)

    async def asked(work: Callable[[], None]) -> None:
        await asyncio.gather(other(), *(line.run(work, time.perf_counter() + 9) for _ in range(60)))

    asyncio.run(asked(lambda: time.sleep(works_s)))
    assert 0.9 * (0.002 + works_s) < line.turn_s


def test_who_would_be_late_is_not_done_when_others_wait() -> None:
    line = Line(64)

    async def asked() -> list[object]:
        until = time.perf_counter() + 1.0
        jobs = [asyncio.create_task(line.run(lambda: "done", until)) for _ in range(3)]
        await asyncio.sleep(0)
        line.turn_s = 9.0
        return await asyncio.gather(*jobs, return_exceptions=True)

    first, second, last = asyncio.run(asked())
    assert isinstance(first, TurnedAway) and isinstance(second, TurnedAway) and last == "done"
