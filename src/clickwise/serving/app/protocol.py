"""`Protocol`: HTTP/1.1 as uvicorn speaks it, within limits of time and number; who has no chance is told at next to no
cost.
"""

from __future__ import annotations

import re
from asyncio import TimerHandle, Transport
from functools import lru_cache, partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from clickwise.serving.app.app import App
from clickwise.serving.app.http import LET_IN, Message, Receive, Send, TurnedAway, id_of

_LINE = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n"
_POST = re.compile(rb"POST (/[!\"$->@-~]*+)(?:\?[!-~]*+)? HTTP/1\.1\r\n((?:" + _LINE + rb")*+)\r\n")
"""All headers of a plain request; what is no such one is left to the parser. Without backtracking."""
_HEADER = re.compile(rb"([^:\r\n]+):([^\r\n]*)\r\n")
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
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
        self._let_in: object | None = None  # what the app said to the request that the parser reads
        self._refused = 0  # bytes of a body that the parser never sees
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
        while self._at == _BETWEEN and self.app.is_crowded and (head := _POST.match(data, start)):
            if not self._refuse(head):
                break
            start = self._thrown_away(data, head.end())
        if start < len(data):
            super().data_received(memoryview(data)[start:] if start else data)  # type: ignore[arg-type]
            self._headers_arrive(len(data) - start)

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
        if self._let_in is not None:
            self.scope[LET_IN] = self._let_in  # type: ignore[literal-required]
            self._let_in = None
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

    def _refuse(self, head: re.Match[bytes]) -> bool:
        """Answer a request that has no chance, by its headers alone; False: it is for the parser and the app."""
        lines = _HEADER.findall(head[2])
        told = {name.lower(): value.strip(b" \t") for name, value in lines}
        length, stays = told.get(b"content-length", b"0"), told.get(b"connection", b"keep-alive")
        usual = len(told) == len(lines) and told.keys().isdisjoint(_UNUSUAL) and stays.lower() == b"keep-alive"
        usual = usual and length.isdigit() and len(length) < 12
        busy = self.flow.write_paused or self._ends or (self.cycle is not None and not self.cycle.response_complete)
        if not usual or busy or int(length) > self._limits.max_body_bytes:
            return False
        try:
            self._let_in = self.app.knock(head[1].decode("ascii"), told)
        except TurnedAway as refused:
            self._in_time()
            self._unset_keepalive_if_required()
            before, body = _answer(str(refused))
            date = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
            self.transport.write(b"".join((before, id_of(told), b"\r\n", *date, b"\r\n", body)))
            self._refused = int(length)
            return True
        return False

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


@lru_cache(8)
def _answer(reason: str) -> tuple[bytes, bytes]:
    """To who is turned away: all up to the id of the request, and the body."""
    refused = TurnedAway(reason).response()
    told = [(b"content-type", refused.content_type), (b"content-length", b"%d" % len(refused.body)), *refused.headers]
    lines = [b"%b: %b\r\n" % header for header in told]
    return b"".join((STATUS_LINE[refused.status], *lines, b"x-request-id: ")), refused.body
