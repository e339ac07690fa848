"""`Connection`: HTTP/1.1 over one kept-alive connection, one request at a time, with as little work as that takes."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Target(NamedTuple):
    """Where requests go.

    Args:
        path: of the route.
        key: for `Authorization: Bearer`; empty: none.
    """

    host: str
    port: int
    path: str
    key: str = ""

    def request(self, body: bytes) -> bytes:
        """The bytes of a `POST`."""
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{key}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body


class Connection(asyncio.Protocol):
    """Ask, wait, ask again. `is_open` says whether it can be asked again."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_open = transport, True

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send it; gives the status of the answer, once all of that is there. `ConnectionError` if it never is."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """It is used no more."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = bytes(self._read[: end + 2])
        length = _LENGTH.search(head)
        if len(self._read) < end + 4 + (int(length[1]) if length else 0):
            return
        answer, self._answer = self._answer, None
        self._read.clear()
        if _CLOSE.search(head):
            self.close()
        if not answer.done():
            answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))
