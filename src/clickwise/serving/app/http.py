"""Requests and responses over ASGI: headers, bodies within limits of size and time, and refusals."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
LET_IN = "clickwise.let_in"
"""In a scope: what `Line.let_in` gave, where that was asked before the app was called."""
_LONGEST_ID = 128


class ErrorAnswer(msgspec.Struct):
    """What every refusal says."""

    error: str


@dataclass(slots=True)
class Response:
    """An answer, and what the log and the metrics say of it.

    Args:
        version: of the model that answered, if one did.
        rows: candidates that were scored.
        turned_away: for no reason but too many others.
    """

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    version: int = 0
    rows: int = 0
    turned_away: bool = False

    def complete(self, request_id: bytes) -> Response:
        """With the headers that every answer has."""
        self.headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(self.body)).encode()),
            (b"x-request-id", request_id),
            *([(b"clickwise-version", str(self.version).encode())] if self.version else []),
            *self.headers,
        ]
        return self


class Refused(Exception):
    """A request that is not answered as it was asked.

    Args:
        status: of HTTP.
        problem: what is wrong, and what to do.
        close: whether the connection cannot be used any more, because the body was not read.
    """

    def __init__(self, status: int, problem: str, *, close: bool = False, headers: Mapping[bytes, bytes] | None = None):
        super().__init__(problem)
        self.status, self.close, self.headers = status, close, dict(headers or {})

    def response(self) -> Response:
        """The answer that says so."""
        headers = list(self.headers.items())
        if self.close:
            headers.append((b"connection", b"close"))
        if self.status in (429, 503):
            headers.append((b"retry-after", b"1"))
        return Response(self.status, msgspec.json.encode(ErrorAnswer(str(self))), headers=headers)


class TurnedAway(Refused):
    """A request that comes together with too many others."""

    def __init__(self, problem: str, *, close: bool = False):
        super().__init__(503, problem, close=close)

    def response(self) -> Response:
        """The answer that says so."""
        response = super().response()
        response.turned_away = True
        return response


class Disconnected(Exception):
    """The client left before its request was read."""


class Held:
    """Bytes of bodies that are in memory, of all requests together.

    Args:
        most: that may be.
    """

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0


def id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """That of the client (`X-Request-Id`), or a random one."""
    given = headers.get(b"x-request-id", b"")
    return given if 0 < len(given) <= _LONGEST_ID and given.isascii() else b"%016x" % random.getrandbits(64)


def allowed_s(headers: Mapping[bytes, bytes], longest_s: float) -> float:
    """How long its answer may take.

    Raises:
        Refused: 400, `Clickwise-Deadline-Ms` is no whole number above 0.
    """
    given = headers.get(b"clickwise-deadline-ms")
    if given is None:
        return longest_s
    if not given.isdigit() or len(given) > 9 or int(given) == 0:
        raise Refused(400, f"Clickwise-Deadline-Ms: got {given[:20]!r}, allowed are whole milliseconds from 1")
    return min(longest_s, int(given) / 1000)


class Request:
    """One request. Its id is that of the client (`X-Request-Id`), or a random one."""

    __slots__ = (
        "_receive",
        "headers",
        "id",
        "let_in",
        "method",
        "parts",
        "path",
        "read_s",
        "received_s",
        "size",
        "unread",
    )

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self.let_in: object | None = scope.get(LET_IN)
        self.received_s = self.read_s = time.perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id = id_of(self.headers)
        self.size = self.parts = 0
        self.unread = b"content-length" in self.headers or b"transfer-encoding" in self.headers
        self._receive = receive

    @property
    def content_type(self) -> bytes:
        """Without its parameters, in lower case."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    def until(self, longest_s: float) -> float:
        """When it is too late to score it, on the clock of `time.perf_counter`; what was read counts from then on.

        Raises:
            Refused: 400, `Clickwise-Deadline-Ms` is no whole number above 0.
        """
        return self.read_s + allowed_s(self.headers, longest_s)

    async def body(self, most_bytes: int, within_s: float, held: Held) -> bytes:
        """All of its body, which counts as held until somebody takes its `size` off again.

        Raises:
            Refused: 413, 408 or 415; 503, too much is held.
            Disconnected: the client left.
        """
        self.unread = False
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(415, "Content-Encoding: send the body as it is, uncompressed", close=True)
        length = self.headers.get(b"content-length", b"0")
        too_large = Refused(413, f"the body has more than {most_bytes:,} bytes (max_body_bytes)", close=True)
        if not length.isdigit() or len(length) > 18 or int(length) > most_bytes:
            raise too_large
        try:
            async with asyncio.timeout(within_s):
                found = await self._read(most_bytes, too_large, held)
        except TimeoutError:
            problem = f"the body did not arrive within {within_s:g} s (body_s)"
            raise Refused(408, problem, close=True) from None
        self.read_s = time.perf_counter()
        return found

    async def _read(self, most_bytes: int, too_large: Refused, held: Held) -> bytes:
        parts = []
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise Disconnected
            part = message.get("body", b"")
            self.size += len(part)
            self.parts += 1
            held.now += len(part)
            if self.size > most_bytes:
                raise too_large
            if held.now > held.most:
                raise TurnedAway("bodies of other requests fill the memory (max_held_bytes)", close=True)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def drain(self, most_bytes: int, within_s: float) -> None:
        """Throw away a body that nobody has read, within limits, after the answer: who still sends it would else see a
        closed connection instead.
        """
        left = most_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return


Handler = Callable[[Request], Awaitable[Response]]


def json_response(content: Any, status: int = 200) -> Response:
    """A struct, or plain data, as JSON."""
    return Response(status, msgspec.json.encode(content, enc_hook=_plain))


def _plain(content: Any) -> Any:
    """Read-only mappings, which are what cards are made of, as dicts."""
    if isinstance(content, Mapping):
        return dict(content)
    raise TypeError(f"{type(content).__name__} is not JSON")
