"""Requests that come when they are due, and what is counted of them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from clickwise.serving.loadtest import step as step_module
from clickwise.serving.loadtest.connection import Target
from clickwise.serving.loadtest.step import Step, due_times, run_step


def step(server: Any, rate: float = 100.0, seconds: float = 0.5, bodies: list[bytes] | None = None) -> Step:
    target = Target("127.0.0.1", server.port, "/v1/score", "k")
    return asyncio.run(run_step(target, bodies or [b"body one", b"two"], rate, seconds, seed=3))


def test_arrivals_are_poisson() -> None:
    due = due_times(500.0, 20.0, seed=1)
    gaps = np.diff(due)
    assert (gaps > 0).all() and due[-1] < 20.0
    assert len(due) / 20 == pytest.approx(500, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05), "as of an exponential distribution"
    assert len(due_times(0.1, 0.5, seed=1)) == 1
    assert (due == due_times(500.0, 20.0, seed=1)).all()


def test_all_are_answered_over_few_connections(server: Any) -> None:
    found = step(server)
    assert (found.status == 200).all() and found.answered.all() and len(found.status) == len(due_times(100, 0.5, 3))
    assert np.isfinite(found.latency_s).all() and (found.latency_s > 0).all() and (found.late_s < found.latency_s).all()
    assert sorted(set(server.asked)) == [b"body one", b"two"]
    assert server.connections < len(found.status) / 2, "they are used again"


def test_latency_counts_from_when_a_request_was_due(server: Any) -> None:
    """One stall: a closed loop would show one slow request; here all that were due meanwhile are sent all the same."""
    server.answer = lambda n: (200, 0.3 if n < 20 else 0.0)
    found = step(server, rate=200.0)
    assert (found.latency_s[:20] >= 0.29).all()
    assert np.median(found.latency_s[25:]) < 0.29


def test_only_the_generators_own_delay_is_late(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_module, "_MOST_CONNECTIONS", 1)
    server.answer = lambda n: (200, 0.05)
    waiting = step(server)
    found_ms = waiting.percentile_ms(99)
    assert found_ms > 1000 and not waiting.is_spoiled(found_ms / 5), "waiting for the server's one connection is not"

    def blocking(due: Any, *told: Any) -> Any:
        asyncio.get_running_loop().call_later(0.2, time.sleep, 0.3)
        return due_times(due, *told)

    monkeypatch.undo()
    monkeypatch.setattr(step_module, "due_times", blocking)
    server.answer = lambda n: (200, 0.0)
    blocked = step(server)
    assert blocked.late_ms > 100 and blocked.is_spoiled(100.0) and not blocked.holds(100.0)


def test_failures_are_not_answers(server: Any) -> None:
    server.answer = lambda n: ((200, 503, 0, 500)[n % 4], 0.0)
    found = step(server)
    counts = {status: int((found.status == status).sum()) for status in (200, 503, 500, 0)}
    assert min(counts.values()) > 5 and sum(counts.values()) == len(found.status)
    assert np.isinf(found.latency_s[found.status == 0]).all()
    assert not found.holds(10_000.0)


def test_nobody_there() -> None:
    class Nobody:
        port = 1

    found = step(Nobody(), seconds=0.1)
    assert (found.status == 0).all() and np.isnan(found.percentile_ms(99)) and found.goodput(10.0) == 0.0


def test_goodput_and_the_bound() -> None:
    latency = np.array([0.001] * 98 + [0.5, np.inf])
    status = np.array([200] * 99 + [0])
    found = Step(50.0, 2.0, latency, status, np.zeros(100))
    assert found.goodput(10.0) == 49.0 and found.goodput(1000.0) == 49.5
    assert not found.holds(10.0) and found.holds(1000.0), "the failed one counts"
    assert found.percentile_ms(50) == 1.0
