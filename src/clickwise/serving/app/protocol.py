"""`Protocol`: HTTP/1.1 as uvicorn speaks it, within limits of time and number; who has no chance is told at next to no
cost.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from clickwise.serving.app.app import App
from clickwise.serving.app.http import Message, Receive, Send

_END = b"\r\n\r\n"
_MOST_HEADERS = 64 << 10
_BETWEEN, _HEADERS, _BODY = range(3)


class Protocol(HttpToolsProtocol):
    """One connection.

    Args:
        door: connections beyond `max_connections`, in their order, which nobody reads until others left. All
            connections of a worker have the same.
    """

    app: App

    def __init__(self, *, door: dict[Protocol, None], **told: Any) -> None:
        super().__init__(**told)
        self._door, self._limits = door, self.app.config
        self._at = _BETWEEN
        self._late: TimerHandle | None = None  # closes the connection, unless what it waits for comes
        self._headers = 0  # bytes
        self._alone = False  # whether the parser has the headers alone, and nothing behind them
        self._refused = 0  # bytes of a body that the parser never sees
        self._is_refused = False
        self._thrown = 0  # bytes of a body that it does see, and nobody else
        self._ends = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        most = self._limits.max_connections
        if len(self._door) >= most:
            transport.abort()
        elif len(self.connections) - len(self._door) > most:
            self._door[self] = None
            self.flow.pause_reading()
        else:
            self._within(self._limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self in self._door:
            del self._door[self]
        elif self._door and len(self.connections) - len(self._door) < self._limits.max_connections:
            first = next(iter(self._door))
            del self._door[first]
            first.flow.resume_reading()
            first._within(self._limits.header_s)

    def data_received(self, data: bytes) -> None:
        start = self._thrown_away(data, 0) if self._refused else 0
        size = len(data)
        while start < size and self._at == _BETWEEN and self.app.is_crowded:
            end = data.find(_END, start) + len(_END)
            if end < len(_END):
                break
            self._alone = True
            super().data_received(data[start:end])
            self._alone = False
            start = end
            if self.transport.is_closing():
                return
            if not self._is_refused:
                break
            self._is_refused = False
            start = self._thrown_away(data, start)
        if start < size:
            super().data_received(memoryview(data)[start:] if start else data)  # type: ignore[arg-type]
            self._headers_arrive(size)

    def _headers_arrive(self, size: int) -> None:
        """Those of the next request are not complete, or are."""
        if self._at != _HEADERS or self.transport.is_closing():
            return
        self._headers += size
        if self._headers > _MOST_HEADERS:
            self.send_400_response("The headers are too large.")
        elif self._late is None:
            self._within(self._limits.header_s)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._at, self._headers = _HEADERS, 0

    def on_headers_complete(self) -> None:
        self._in_time()
        self._at, self._thrown = _BODY, 0
        if not (self._alone and self._refuse()):
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, partial(self._ask, cycle))

    async def _ask(self, cycle: RequestResponseCycle, scope: Any, receive: Receive, send: Send) -> None:
        """Ask the app, whose answer is written in one piece."""
        begin: Message = {}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                begin.update(message)
                return
            if cycle.flow.write_paused and not cycle.disconnected:
                await cycle.flow.drain()
            if cycle.disconnected:
                return
            headers, close = begin["headers"], (b"connection", b"close")
            if close in headers:
                cycle.keep_alive = False
            elif not cycle.keep_alive:
                headers = [*headers, close]
            self.transport.write(self._written(begin["status"], headers, message["body"]))
            cycle.response_started = cycle.response_complete = True
            cycle.message_event.set()
            if not cycle.keep_alive:
                self.transport.close()
            cycle.on_response()

        await self.app(scope, receive, answer)

    def on_body(self, body: bytes) -> None:
        """As in the class above, but for the limits."""
        cycle, most = self.cycle, self._limits.max_body_bytes
        if cycle.response_complete:
            self._thrown += len(body)
            if self._thrown > most:
                self.transport.close()
            return
        cycle.body += body
        if len(cycle.body) > most:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._at = _BETWEEN
        if self._is_refused:
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rests()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._at == _BODY and self.cycle.response_complete:  # it did not need all of the body
            self._within(self._limits.body_s)

    def shutdown(self) -> None:
        self._ends = True
        unread = self._at == _BODY and self.cycle is not None and self.cycle.response_complete
        if not self._refused and not unread:
            super().shutdown()

    def _refuse(self) -> bool:
        """Answer a request that has no chance, by its headers alone; False: it is for the app."""
        parser, busy = self.parser, self.cycle is not None and not self.cycle.response_complete
        if busy or self.flow.write_paused or self.expect_100_continue or parser.should_upgrade():
            return False
        told = dict(self.headers)
        length = int(told.get(b"content-length", b"0"))  # the parser knows that it is a number
        if length > self._limits.max_body_bytes or b"transfer-encoding" in told or self._ends:
            return False
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        self.scope["method"] = parser.get_method().decode("ascii")
        self.scope["path"] = self.url.partition(b"?")[0].decode("latin-1")
        refused = self.app.turned_away(self.scope)  # type: ignore[arg-type]
        if refused is None:
            return False
        self.transport.write(self._written(refused.status, refused.headers, refused.body))
        self._is_refused, self._refused = True, length
        return True

    def _written(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
        parts = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", body)
        return b"".join(parts)

    def _thrown_away(self, data: bytes, start: int) -> int:
        """Where the body of the refused request ends in `data`."""
        here = min(self._refused, len(data) - start)
        self._refused -= here
        if self._refused:
            if self._late is None:
                self._within(self._limits.body_s)
            return len(data)
        if self._at == _BODY:  # the parser saw none of it: the next request is for another one
            self.parser = httptools.HttpRequestParser(self)
            self._at = _BETWEEN
        self._in_time()
        self._rests()
        return start + here

    def _rests(self) -> None:
        """A request is answered and all of it has come: there may be a next one."""
        self._in_time()
        self._unset_keepalive_if_required()
        if self._ends:
            self.transport.close()
        elif not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _within(self, seconds: float) -> None:
        self._in_time()
        self._late = self.loop.call_later(seconds, self._too_late, seconds)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self, seconds: float) -> None:
        self._late = None
        if self.flow.read_paused:  # it was not let say anything
            self._within(seconds)
        else:
            self.transport.close()
