"""Connections: how long they may take, how many there may be, and who is turned away before the app is asked."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.server import ServerState

from clickwise.serving.app.app import App
from clickwise.serving.app.asgi_server import configured

BODY = json.dumps({"user": {}, "candidates": [{"price": 0.0}]}).encode()
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
Open = Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]


@asynccontextmanager
async def served(app: App) -> AsyncIterator[Open]:
    """Opens connections to the app."""
    config = configured(app)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    told: dict[str, Any] = {"config": config, "server_state": state, "app_state": {}, "_loop": loop}
    server = await loop.create_server(lambda: config.http_protocol_class(**told), "127.0.0.1", 0)
    opened = []

    async def one() -> tuple[StreamReader, StreamWriter]:
        opened.append(await asyncio.open_connection(*server.sockets[0].getsockname()))
        return opened[-1]

    try:
        yield one
    finally:
        for _, write in opened:
            write.close()
        server.close()
        await asyncio.sleep(0.01)


async def answered(read: StreamReader) -> tuple[int, str, bytes]:
    """Status, headers and body of the next answer."""
    async with asyncio.timeout(5):
        head = (await read.readuntil(b"\r\n\r\n")).decode().lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        return int(head.split()[1]), head, await read.readexactly(int(length))


@pytest.fixture
def crowded(make_app: Callable[..., App]) -> App:
    """One job waits, and none may beside it."""
    app = make_app(max_waiting=1, body_s=0.3)
    app.scoring.line._waiting.append(None)  # type: ignore[arg-type]
    return app


def test_who_has_no_chance_goes_on(crowded: App, log: io.StringIO) -> None:
    """He is told before his body comes and before the app is called; the next request on his connection is answered."""
    crowded.metrics.request("/v1/score", 503)
    before = crowded.metrics._requests["/v1/score", 503]._value.get()

    async def asked() -> None:
        async with served(crowded) as connect:
            read, write = await connect()
            for _ in range(2):
                write.write(HEAD + b"X-Request-Id: mine\r\nContent-Length: 100\r\n\r\n" + b"x" * 30)
                status, head, body = await answered(read)
                assert status == 503 and "retry-after: 1" in head and "x-request-id: mine" in head
                assert "max_waiting" in json.loads(body)["error"]
                write.write(b"y" * 69)
                await asyncio.sleep(0.02)
                write.write(b"z")
            write.write(WHOLE + WHOLE)
            assert [(await answered(read))[0] for _ in range(2)] == [503, 503]
            write.write(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert (await answered(read))[0] == 200
            await asyncio.sleep(0.4)
            crowded.scoring.line._waiting.clear()
            write.write(WHOLE)
            status, _, body = await answered(read)
            assert status == 200 and json.loads(body)["version"] == 1

    asyncio.run(asked())
    assert crowded.metrics._requests["/v1/score", 503]._value.get() == before + 4
    crowded.log.tell_turned_away()
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [event["requests"] for event in events if event["event"] == "turned_away"] == [4]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n\r\n", 503),
        (HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\n ", 503),
        (HEAD.replace(b"1.1", b"1.0") + b"Content-Length: 1\r\n\r\n ", 503),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n ", 400),
        (HEAD + b"Clickwise-Deadline-Ms: 0\r\nContent-Length: 1\r\n\r\n ", 400),
        (HEAD.replace(b"score", b"nothing") + b"Content-Length: 1\r\n\r\n ", 404),
        (HEAD.replace(b"POST", b"PUT") + b"Content-Length: 1\r\n\r\n ", 405),
        (HEAD.replace(b"score", b"%73core") + b"Content-Length: 1\r\n\r\n ", 503),
    ],
)
def test_what_is_not_plain_goes_the_usual_way(crowded: App, sent: bytes, status: int) -> None:
    async def asked() -> None:
        async with served(crowded) as connect:
            read, write = await connect()
            write.write(sent)
            assert (await answered(read))[0] == status

    asyncio.run(asked())


def test_a_wrong_key_is_told_first(make_app: Callable[..., App]) -> None:
    app = make_app(max_waiting=1, api_key="k")
    app.scoring.line._waiting.append(None)  # type: ignore[arg-type]

    async def asked() -> None:
        async with served(app) as connect:
            for key, status in ((b"no", 401), (b"k", 503)):
                read, write = await connect()
                write.write(WHOLE.replace(b"Host: x", b"Authorization: Bearer " + key))
                assert (await answered(read))[0] == status

    asyncio.run(asked())


def test_who_is_let_in_is_not_asked_again(make_app: Callable[..., App]) -> None:
    """He counts from the headers on, so that of many who come at once no more are read than have a chance."""
    app = make_app()
    app.scoring.line._waiting.append(None)  # type: ignore[arg-type]
    app.scoring.line.turn_s, app.scoring.line._since = app.config.deadline_s / 4.5, time.perf_counter()

    async def asked() -> None:
        async with served(app) as connect:
            ends = [await connect() for _ in range(6)]
            for _, write in ends:
                write.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY))
            await asyncio.sleep(0.05)
            assert len(app.scoring.line._coming) == 2
            app.scoring.line._waiting.clear()
            for _, write in ends:
                write.write(BODY)
            statuses = [(await answered(read))[0] for read, _ in ends]
            assert sorted(statuses) == [200, 200, 503, 503, 503, 503]
        assert not app.scoring.line._coming

    asyncio.run(asked())


@pytest.mark.parametrize("refused", [True, False])
def test_a_body_that_nobody_reads_has_its_time(crowded: App, refused: bool) -> None:
    async def asked() -> None:
        async with served(crowded) as connect:
            read, write = await connect()
            write.write((HEAD if refused else HEAD.replace(b"score", b"nothing")) + b"Content-Length: 9\r\n\r\n ")
            assert (await answered(read))[0] == (503 if refused else 404)
            async with asyncio.timeout(2):
                assert await read.read() == b""

    asyncio.run(asked())


def test_the_headers_of_every_request_have_their_time(make_app: Callable[..., App]) -> None:
    async def asked() -> None:
        async with served(make_app(header_s=0.2)) as connect:
            (silent, _), (read, write) = await connect(), await connect()
            for _ in range(2):
                write.write(WHOLE)
                assert (await answered(read))[0] == 200
                await asyncio.sleep(0.3)
            write.write(b"POST /v1/sco")
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(2):
                assert await read.read() == b"" and await silent.read() == b""
            assert asyncio.get_running_loop().time() - began > 0.15

    asyncio.run(asked())


def test_headers_without_end(app: App) -> None:
    async def asked() -> None:
        async with served(app) as connect:
            read, write = await connect()
            write.write(HEAD + b"A: b\r\n" * 20_000)
            assert (await read.readline()).startswith(b"HTTP/1.1 400")

    asyncio.run(asked())


def test_more_connections_than_may_be_wait(make_app: Callable[..., App]) -> None:
    async def asked() -> None:
        async with served(make_app(max_connections=2, header_s=5.0)) as connect:
            ends = [await connect() for _ in range(4)]
            for _, write in ends:
                write.write(WHOLE)
            assert [(await answered(read))[0] for read, _ in ends[:2]] == [200, 200]
            third = asyncio.create_task(answered(ends[2][0]))
            await asyncio.sleep(0.1)
            assert not third.done()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await answered((await connect())[0])
            ends[0][1].close()
            assert (await third)[0] == 200

    asyncio.run(asked())


def test_mistakes_of_the_libraries_are_lines_of_json(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    configured(app)
    log = logging.getLogger("uvicorn.error")
    log.warning("nothing to worry about")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception('a "mistake"\nindeed')
    (line,) = capsys.readouterr().err.splitlines()
    said = {"event": "uvicorn.error", "message": 'a "mistake"\nindeed', "error": "ValueError: why"}
    assert json.loads(line).items() >= said.items()
