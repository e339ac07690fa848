"""A server of a few lines, which answers as it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest


class SmallServer:
    """Answers request n, from 0, with `answer(n)`: a status and the seconds to wait before. Counts connections."""

    def __init__(self) -> None:
        self.answer: Callable[[int], tuple[int, float]] = lambda n: (200, 0.0)
        self.models = b"{}"
        self.asked: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._started, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> SmallServer:
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"GET"):
                    status, body = 200, self.models
                else:
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    body = await reader.readexactly(length)
                    self.asked.append(body)
                    status, wait_s = self.answer(len(self.asked) - 1)
                    await asyncio.sleep(wait_s)
                if status == 0:
                    break
                close = b"Connection: close\r\n" if head.startswith(b"GET") else b""
                writer.write(
                    b"HTTP/1.1 %d Word\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), close) + body[:3]
                )
                await asyncio.sleep(0)
                writer.write(body[3:])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with SmallServer() as made:
        yield made
