"""`Scoring`: from a request to scores and back, whatever the protocol; and `POST /v1/score`."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from clickwise.errors import ClickwiseError
from clickwise.serving.app import arrow
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.app.http import JSON, Held, Refused, Request, Response, allowed_s, json_response
from clickwise.serving.app.line import Line
from clickwise.serving.app.metrics import Metrics
from clickwise.serving.live import Live, Serving
from clickwise.serving.served.log import ServedLog
from clickwise.serving.served.rows import Answered

if TYPE_CHECKING:
    from clickwise.serving.engine import Engine, Scores


class ScoreAnswer(msgspec.Struct):
    """What `POST /v1/score` answers.

    Args:
        version: number of the version that scored.
        probabilities: of a click, one a candidate, in their order.
        ignored: names in the request that the version does not read.
    """

    version: int
    probabilities: list[float]
    ignored: list[str]


class Scored(NamedTuple):
    """Scores, and the number of the version that gave them."""

    version: int
    scores: Scores


class Scoring:
    """Args:
    live: what to score with.
    line: where requests wait.
    served: keeps some of what was scored; None: nothing is kept.
    """

    def __init__(
        self, live: Live, line: Line, metrics: Metrics, config: ServerConfig, served: ServedLog | None = None
    ) -> None:
        self.live, self.line, self.metrics, self.config, self.served = live, line, metrics, config, served
        self.held = Held(config.max_held_bytes)

    def serving(self) -> Serving:
        """What answers now.

        Raises:
            Refused: 503, nothing does.
        """
        current = self.live.current
        if current is None:
            raise Refused(503, "no version is live; `clickwise publish` makes one so")
        return current

    def let_in(self, headers: Mapping[bytes, bytes], since_s: float) -> object:
        """A request by its headers alone, for `Line.has_come`.

        Args:
            since_s: when they were seen; they were there before, about.

        Raises:
            Refused: 503, it would be too late; 400, its deadline is none.
        """
        return self.line.let_in(since_s - self.line.lag_s + allowed_s(headers, self.config.deadline_s))

    async def body(self, request: Request) -> bytes:
        """The body of a request, within the limits. One that has no chance is turned away by its headers alone; time
        counts from when it, and then its body, had arrived, about.

        Raises:
            Refused: 503, it would be too late; or as `Request.body`.
            Disconnected: the client left.
        """
        who = request.let_in or self.let_in(request.headers, request.read_s)
        try:
            body = await request.body(self.config.max_body_bytes, self.config.body_s, self.held)
        finally:
            self.line.has_come(who)
        request.read_s -= (1 + request.parts) * self.line.lag_s
        return body

    async def score(
        self, request: Request, work: Callable[[Engine, float], Scores], version: int | None = None
    ) -> Scored:
        """Wait for the request's turn, then score it.

        Args:
            work: what an engine has to do, and until when stores must have answered; raises what is wrong with the
                request.
            version: that is to answer; None: the one that the traffic is for.

        Raises:
            Refused: 503, 400, or 404 for a version that is not served.
        """
        until = request.until(self.config.deadline_s)

        def scored() -> tuple[Scored, Serving]:
            began = time.perf_counter()
            self.metrics.waiting_seconds.observe(began - request.read_s)
            serving = self.serving()
            number, engine = _chosen(serving, request, version)
            try:
                scores = work(engine, until)
            except ClickwiseError as error:
                raise Refused(400, str(error)) from None
            self.metrics.scoring_seconds.observe(time.perf_counter() - began)
            return Scored(number, scores), serving

        found, serving = await self.line.run(scored, until)
        self.metrics.candidates.observe(len(found.scores.logits))
        self.metrics.answers.labels(str(found.version)).inc()
        for looked_up in found.scores.looked_up:
            self.metrics.looked_up(looked_up)
        if self.served is not None and found.scores.served is not None and self.served.wants():
            engine, now_us = serving.engines[found.version], time.time_ns() // 1000
            about = engine.kinds, engine.version, engine.features
            self.served.offer(Answered(request.id.decode("ascii"), now_us, found.version, *about, found.scores))
        if serving.traffic.shadow is not None and found.version == serving.traffic.live:
            engine = serving.engines[serving.traffic.shadow]
            asyncio.get_running_loop().call_soon(
                self._shadow, engine, lambda engine: work(engine, math.inf), found.scores.logits
            )
        return found

    def _shadow(self, engine: Engine, work: Callable[[Engine], Scores], logits: np.ndarray) -> None:
        """Score in the shadow, where nobody has to wait for it."""
        if len(self.line):
            self.metrics.shadow.labels("skipped").inc()
            return
        try:
            other = work(engine).logits
        except Exception:  # noqa: BLE001 - the shadow's mistakes are counted and harm nobody
            self.metrics.shadow.labels("failed").inc()
            return
        self.metrics.shadow.labels("scored").inc()
        if len(logits):
            self.metrics.shadow_difference.observe(float(np.abs(other - logits).max()))

    async def answer(self, request: Request) -> Response:
        """`POST /v1/score`: JSON in, JSON out; an Arrow stream in, an Arrow stream out."""
        most = self.config.max_candidates
        if request.content_type == arrow.CONTENT_TYPE:
            body = await self.body(request)
            found = await self.score(
                request, lambda engine, until: engine.score_rows(arrow.read_rows(body, most), until_s=until)
            )
            return _told(_arrow_response(found), found)
        if request.content_type not in (JSON, b""):
            allowed = f"{JSON.decode()} and {arrow.CONTENT_TYPE.decode()}"
            raise Refused(415, f"Content-Type: got {request.content_type[:80]!r}, allowed are {allowed}")
        body = await self.body(request)
        found = await self.score(
            request, lambda engine, until: engine.score_json(body, max_candidates=most, until_s=until)
        )
        answer = ScoreAnswer(found.version, found.scores.probabilities.tolist(), list(found.scores.ignored))
        return _told(json_response(answer), found)


def _chosen(serving: Serving, request: Request, version: int | None) -> tuple[int, Engine]:
    if version is None:
        return serving.for_request(request.id)
    if version not in serving.engines:
        there = ", ".join(map(str, serving.engines))
        raise Refused(404, f"version {version} is not served; {there} is")
    return version, serving.engines[version]


def _told(response: Response, found: Scored) -> Response:
    """With what the log says of it."""
    response.version, response.rows = found.version, len(found.scores.logits)
    return response


def _arrow_response(found: Scored) -> Response:
    columns = {"probability": found.scores.probabilities, "logit": found.scores.logits}
    batch = pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in columns.items()})
    facts = {"version": str(found.version), "ignored": ",".join(found.scores.ignored)}
    return Response(200, arrow.write_rows(batch.replace_schema_metadata(facts)), arrow.CONTENT_TYPE)
