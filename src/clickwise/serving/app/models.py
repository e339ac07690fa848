"""`/v1/models`: which versions there are and which answer; with the key, another one answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from clickwise.errors import ClickwiseError
from clickwise.serving.app.beside import step_back
from clickwise.serving.app.http import Refused, Request, Response, json_response
from clickwise.serving.app.scoring import Scoring
from clickwise.serving.traffic import Traffic

_MAX_BODY_BYTES = 10_000


class ChangeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /v1/models/live` is given: the number of a version."""

    version: int


class TrafficAnswer(msgspec.Struct):
    """Who answers; see `Traffic`."""

    live: int | None
    second: int | None = None
    share: float = 0.0
    shadow: int | None = None
    before: list[int] = []


class VersionAnswer(msgspec.Struct):
    """A version of the store.

    Args:
        number: in the store.
        served: whether this worker has it open.
        refused: why it cannot be served, if it was tried.
        name: digits of the checksum of what it holds.
        columns: that a request has, with their kinds.
        card: where it comes from and how good it is.
    """

    number: int
    served: bool
    refused: str | None = None
    name: str | None = None
    columns: dict[str, str] | None = None
    card: Any = None


class ModelsAnswer(msgspec.Struct):
    """What `GET /v1/models` answers; `trouble` is what is wrong with the store."""

    traffic: TrafficAnswer
    versions: list[VersionAnswer]
    trouble: str | None = None


class Models:
    """The routes of versions."""

    def __init__(self, scoring: Scoring) -> None:
        self.live, self.config, self.held = scoring.live, scoring.config, scoring.held
        self._beside = ThreadPoolExecutor(1, "clickwise-models", initializer=step_back)

    async def list(self, request: Request) -> Response:
        """`GET /v1/models`"""
        current, refused = self.live.current, self.live.refused
        engines = current.engines if current else {}
        versions = []
        for number in self.live.store.versions():
            engine, reason = engines.get(number), refused.get(number)
            if engine is None:
                versions.append(VersionAnswer(number, False, reason))
            else:
                columns = {name: engine.kinds[name] for name in engine.columns}
                versions.append(VersionAnswer(number, True, reason, engine.version, columns, engine.card))
        traffic = _traffic_answer(current.traffic if current else None)
        return json_response(ModelsAnswer(traffic, versions, self.live.trouble or None))

    async def lead(self, request: Request) -> Response:
        """`POST /v1/models/live`"""
        body = await request.body(_MAX_BODY_BYTES, self.config.body_s, self.held)
        try:
            number = msgspec.json.decode(body, type=ChangeRequest).version
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused(400, f'the body is {{"version": a number}}: {error}') from None
        return await self._changed(lambda: self.live.lead(number))

    async def roll_back(self, request: Request) -> Response:
        """`POST /v1/models/rollback`"""
        return await self._changed(self.live.roll_back)

    async def _changed(self, change: Callable[[], Traffic]) -> Response:
        """Do it beside the event loop, which answers meanwhile."""
        try:
            traffic = await asyncio.get_running_loop().run_in_executor(self._beside, change)
        except ClickwiseError as error:
            raise Refused(409, str(error)) from None
        return json_response(_traffic_answer(traffic))


def _traffic_answer(traffic: Traffic | None) -> TrafficAnswer:
    if traffic is None:
        return TrafficAnswer(None)
    return TrafficAnswer(traffic.live, traffic.second, traffic.share, traffic.shadow, list(traffic.before))
