"""What a client may not do, and how it learns that."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from asgi_client import Answer, ask, call
from clickwise.errors import ConfigError
from clickwise.serving.app.app import App
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.store import Store

REQUEST = json.dumps({"user": {}, "candidates": [{"price": 0.0}]}).encode()


def test_body_size(make_app: Callable[..., App]) -> None:
    app = make_app(max_body_bytes=100)
    assert ask(app, "POST", "/v1/score", REQUEST.ljust(100)).status == 200
    said = ask(app, "POST", "/v1/score", [b"{}"], headers={"content-length": "101"})
    come = ask(app, "POST", "/v1/score", [REQUEST, b" " * 100, b" " * 1000])
    odd = ask(app, "POST", "/v1/score", [b"{}"], headers={"content-length": "-1"})
    for answer in (said, come, odd):
        assert answer.status == 413 and answer.headers["connection"] == "close"
        assert "100 bytes (max_body_bytes)" in answer.json["error"]


def test_a_body_in_parts_is_one(app: App) -> None:
    assert ask(app, "POST", "/v1/score", [REQUEST[:7], b"", REQUEST[7:]]).status == 200


def test_a_slow_body(make_app: Callable[..., App]) -> None:
    began = time.perf_counter()
    answer = ask(make_app(body_s=0.05), "POST", "/v1/score", [b"{", b"", b"}"], pause_s=10.0)
    assert answer.status == 408 and answer.headers["connection"] == "close"
    assert time.perf_counter() - began < 5


def test_bodies_do_not_fill_the_memory(make_app: Callable[..., App]) -> None:
    app = make_app(max_held_bytes=1100)

    async def asked() -> list[Answer]:
        slow = [call(app, "POST", "/v1/score", [b" " * 300, REQUEST], pause_s=0.05) for _ in range(4)]
        return await asyncio.gather(*slow)

    statuses = sorted(answer.status for answer in asyncio.run(asked()))
    assert statuses == [200, 200, 200, 503]
    for body in ([b"x" * 300, None], [b"x" * 300], [b"x" * 2000]):
        ask(app, "POST", "/v1/score", body)
    assert app.scoring.held.now == 0
    assert ask(app, "POST", "/v1/score", REQUEST).status == 200


def test_a_client_that_leaves_gets_nothing(app: App) -> None:
    assert ask(app, "POST", "/v1/score", [b"{", None]).status == 0


def test_a_slow_body_is_not_late(make_app: Callable[..., App]) -> None:
    app = make_app(deadline_s=0.05)
    assert ask(app, "POST", "/v1/score", [REQUEST[:5], REQUEST[5:]], pause_s=0.2).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/csv"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": ""}, 200),
        ({"clickwise-deadline-ms": "0"}, 400),
        ({"clickwise-deadline-ms": "soon"}, 400),
        ({"clickwise-deadline-ms": "2000"}, 200),
    ],
)
def test_headers(app: App, headers: dict[str, str], status: int) -> None:
    assert ask(app, "POST", "/v1/score", REQUEST, headers=headers).status == status


def test_candidates(make_app: Callable[..., App]) -> None:
    many = json.dumps({"candidates": [{}] * 4}).encode()
    assert ask(make_app(max_candidates=4), "POST", "/v1/score", many).status == 200
    answer = ask(make_app(max_candidates=3), "POST", "/v1/score", many)
    assert answer.status == 400 and "allowed are 3" in answer.json["error"]


def many_at_once(app: App, number: int, **headers: str) -> list[Answer]:
    async def asked() -> list[Answer]:
        calls = (call(app, "POST", "/v1/score", REQUEST, headers=headers) for _ in range(number))
        return await asyncio.gather(*calls)

    return asyncio.run(asked())


def test_more_than_may_wait_are_turned_away_at_once(make_app: Callable[..., App]) -> None:
    app = make_app(max_waiting=5, works=lambda: time.sleep(0.01))
    answers = many_at_once(app, 50)
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 5 and statuses.count(503) == 45
    turned_away = answers[statuses.index(503)]
    assert turned_away.headers["retry-after"] == "1" and "max_waiting" in turned_away.json["error"]
    assert [a.status for a in many_at_once(app, 5)] == [200] * 5, "afterwards all is well"


def test_who_waited_too_long_is_not_scored(make_app: Callable[..., App]) -> None:
    scored = []

    def works() -> None:
        scored.append(1)
        time.sleep(0.02)

    statuses = [a.status for a in many_at_once(make_app(works=works), 6, **{"clickwise-deadline-ms": "30"})]
    assert statuses[0] == 200 and statuses[-1] == 503
    assert len(scored) == statuses.count(200) < 6


def test_who_would_wait_too_long_is_told_at_once(make_app: Callable[..., App]) -> None:
    """As soon as it is known how long the work takes, nobody waits in vain."""
    app = make_app(works=lambda: time.sleep(0.01))
    many_at_once(app, 60)
    app.scoring.line.turn_s = 0.01
    answers = many_at_once(app, 12, **{"clickwise-deadline-ms": "45"})
    told = [answer.json["error"] for answer in answers if answer.status == 503]
    assert 2 <= len(answers) - len(told) <= 5
    assert sum("it would be scored after" in error for error in told) >= 7


def test_who_has_no_chance_is_told_before_the_body_comes(make_app: Callable[..., App], log: io.StringIO) -> None:
    """And the body is read nevertheless, so that the connection goes on. The log counts them."""
    app, happened = make_app(max_waiting=1), []

    async def receive() -> dict[str, Any]:
        happened.append("read")
        return {"type": "http.request", "body": REQUEST, "more_body": happened.count("read") < 3}

    async def send(message: dict[str, Any]) -> None:
        happened.append(message.get("status", "sent"))

    async def asked() -> None:
        waits = asyncio.create_task(app.scoring.line.run(lambda: None, time.perf_counter() + 9))
        await asyncio.sleep(0)
        headers = [(b"content-length", str(3 * len(REQUEST)).encode())]
        await app({"type": "http", "method": "POST", "path": "/v1/score", "headers": headers}, receive, send)
        await waits

    asyncio.run(asked())
    assert happened == [503, "sent", "read", "read", "read"]
    assert log.getvalue() == ""
    app.log.tell_turned_away()
    app.log.tell_turned_away()
    (line,) = log.getvalue().splitlines()
    assert json.loads(line).items() >= {"event": "turned_away", "requests": 1}.items()


def test_a_swap_while_requests_come(make_app: Callable[..., App], store: Store) -> None:
    """Each answer is that of the version it names; none fails."""
    app = make_app(works=lambda: time.sleep(0.0005))
    swaps = 0

    async def asked() -> list[Answer]:
        nonlocal swaps
        answers = []
        for swaps in range(1, 9):
            calls = [asyncio.create_task(call(app, "POST", "/v1/score", REQUEST)) for _ in range(20)]
            await asyncio.sleep(0.004)
            store.lead(1 + swaps % 2)
            await asyncio.get_running_loop().run_in_executor(None, app.live.refresh)
            answers += await asyncio.gather(*calls)
        return answers

    answers = asyncio.run(asked())
    assert {a.status for a in answers} == {200} and {a.json["version"] for a in answers} == {1, 2}
    for answer in answers:
        expected = {1: 0.7310585786300049, 2: 0.8807970779778823}[answer.json["version"]]
        assert answer.json["probabilities"] == [pytest.approx(expected, abs=1e-7)]
        assert answer.headers["clickwise-version"] == str(answer.json["version"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"port": 0}, "port: got 0"),
        ({"api_key": "a b"}, "api_key: got 'a key'"),
        ({"model_name": "a/b"}, "model_name: got 'a/b'"),
        ({"max_waiting": 0}, "max_waiting: got 0"),
        ({"body_s": 0.0}, "body_s: got 0.0"),
        ({"drain_s": -1.0}, "drain_s: got -1.0"),
        ({"log_share": 2.0}, "log_share: got 2.0"),
    ],
)
def test_settings_that_make_no_sense(wrong: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ServerConfig(**wrong)
