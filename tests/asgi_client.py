"""Calls an ASGI app as a server would, without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: Any,
    method: str,
    path: str,
    body: bytes | Sequence[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    pause_s: float = 0.0,
) -> Answer:
    """One request. A body of several parts comes part by part, `pause_s` apart; None as a part: the client leaves."""
    parts = [body] if isinstance(body, bytes) else list(body)
    sent: list[Any] = []
    told = {"content-type": "application/json", **(headers or {})}
    if isinstance(body, bytes):
        told.setdefault("content-length", str(len(body)))

    async def receive() -> dict[str, Any]:
        if sent:
            await asyncio.sleep(pause_s)
        part = parts[len(sent)]
        sent.append(part)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": len(sent) < len(parts)}

    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.lower().encode(), value.encode()) for name, value in told.items()],
    }
    await app(scope, receive, send)
    if not messages:
        return Answer(0, {}, b"")
    start, end = messages
    return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, end["body"])


def ask(app: Any, method: str, path: str, body: Any = b"", **how: Any) -> Answer:
    """The same, on its own; plain data is sent as JSON."""
    raw = json.dumps(body).encode() if isinstance(body, dict | str) else body
    return asyncio.run(call(app, method, path, raw, **how))
