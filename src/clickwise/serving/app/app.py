"""`App`: the ASGI application. Finds the route, asks for the key, turns refusals into answers, counts and logs."""

from __future__ import annotations

import asyncio
import gc
import hmac
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clickwise.serving.app.beside import give_back_memory, step_back
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.app.documentation import Documentation
from clickwise.serving.app.explaining import Explaining
from clickwise.serving.app.http import (
    Disconnected,
    Handler,
    Receive,
    Refused,
    Request,
    Response,
    Send,
    TurnedAway,
    json_response,
)
from clickwise.serving.app.line import Line
from clickwise.serving.app.log import Log
from clickwise.serving.app.metrics import CONTENT_TYPE, Metrics
from clickwise.serving.app.models import Models
from clickwise.serving.app.open_inference import PREFIX, OpenInference
from clickwise.serving.app.pages import Console
from clickwise.serving.app.recommending import Recommending
from clickwise.serving.app.scoring import Scoring
from clickwise.serving.features.store import NO_STORES, Stores
from clickwise.serving.live import Live
from clickwise.serving.recommends import Recommends
from clickwise.serving.served.log import ServedLog

_HEALTH = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
_OPEN = frozenset({*_HEALTH, "/docs", "/openapi.json", *Console.paths})
_WAITING = frozenset({"/v1/score", "/v1/explain", "/v1/recommend"})
"""Routes whose requests wait in the line, beside those of the protocol that end so: `/infer`."""
_CHANGES = frozenset({"/v1/models/live", "/v1/models/rollback"})


class App:
    """Args:
    live: the versions that answer; the app refreshes it from its start to its end.
    stopping: says that the server is about to stop, and must get no new requests.
    recommender: what `/v1/recommend` asks; None: that route says that there is none.
    stores: that the engines look up in; refreshed as the versions are.
    """

    def __init__(
        self,
        live: Live,
        config: ServerConfig,
        *,
        log: Log | None = None,
        stopping: Callable[[], bool] = lambda: False,
        recommender: Recommends | None = None,
        stores: Stores = NO_STORES,
    ) -> None:
        self.stores = stores
        self.live, self.config, self.stopping = live, config, stopping
        self.log = log or Log(config.log_share)
        self.metrics = Metrics()
        self.served = self._served_log()
        self.scoring = Scoring(live, Line(config.max_waiting), self.metrics, config, self.served)
        self.protocol = OpenInference(self.scoring)
        self._stop = threading.Event()
        self._known: tuple[int, Mapping[int, str], str] = (0, {}, "")
        models, documentation = Models(self.scoring), Documentation(self.scoring)
        recommending, explaining = Recommending(self.scoring, recommender), Explaining(self.scoring)
        self.routes: dict[str, dict[str, Handler]] = {
            "/v1/score": {"POST": self.scoring.answer},
            "/v1/explain": {"POST": explaining.answer},
            "/v1/example": {"GET": explaining.example},
            "/v1/recommend": {"POST": recommending.answer},
            "/v1/models": {"GET": models.list},
            "/v1/models/live": {"POST": models.lead},
            "/v1/models/rollback": {"POST": models.roll_back},
            "/healthz": {"GET": self._health},
            "/readyz": {"GET": self._ready},
            "/metrics": {"GET": self._metrics},
            "/openapi.json": {"GET": documentation.schema},
            "/docs": {"GET": documentation.page},
            **Console().routes(),
            "/v2": {"GET": self.protocol.server},
            "/v2/health/live": {"GET": self._health},
            "/v2/health/ready": {"GET": self._ready},
        }

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(Request(scope, receive), send)
        else:
            await send({"type": "websocket.close"})

    async def _http(self, request: Request, send: Send) -> None:
        methods = self.routes.get(request.path)
        if methods is None and request.path.startswith(PREFIX):
            methods = self.protocol.find(request.path)
        try:
            response = await self._answered(request, methods or {})
        except Disconnected:
            return
        finally:
            self.scoring.held.now -= request.size
        headers = response.complete(request.id).headers
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._count(request, response, request.path if request.path in self.routes else PREFIX if methods else "none")
        if request.unread:
            await request.drain(self.config.max_body_bytes, self.config.body_s)

    @property
    def is_crowded(self) -> bool:
        """Whether somebody waits: only then `knock` has something to say."""
        return len(self.scoring.line) > 0

    def knock(self, path: str, headers: Mapping[bytes, bytes]) -> object | None:
        """Ask by the headers of a `POST` alone, before the app is called: what its scope has as `LET_IN`, if anything.

        Raises:
            TurnedAway: it has no chance; this is counted, and the app need not be called.
        """
        route = path if path in _WAITING else PREFIX if path.startswith(PREFIX) and path.endswith("/infer") else ""
        if not route:
            return None
        try:
            self._authorise(path, headers)
            return self.scoring.let_in(headers, time.perf_counter())
        except TurnedAway:
            self.metrics.request(route, 503)
            self.log.turned_away()
            raise
        except Refused:  # for another reason, which the app tells
            return None

    def _count(self, request: Request, response: Response, route: str) -> None:
        seconds = time.perf_counter() - request.received_s
        self.metrics.request(route, response.status)
        if not response.turned_away:
            self.metrics.seconds.labels(route).observe(seconds)
        self.log.request(request, response, seconds)

    async def _answered(self, request: Request, methods: Mapping[str, Handler]) -> Response:
        try:
            handler = methods.get("GET" if request.method == "HEAD" else request.method)
            if handler is None and not methods:
                raise Refused(404, f"there is no {request.path[:200]}; /docs shows what there is")
            if handler is None:
                allow = ", ".join(methods)
                raise Refused(405, f"{request.method}: allowed is {allow}", headers={b"allow": allow.encode()})
            self._authorise(request.path, request.headers)
            return await handler(request)
        except Refused as refused:
            return refused.response()
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001 - our own mistake must not end the worker
            self.log.event("error", id=request.id.decode("ascii"), error=f"{type(error).__name__}: {error}")
            return Refused(500, "this is a mistake of the server; its log has the request's id").response()

    def _authorise(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a request whose key is not the right one."""
        if path in _OPEN:
            return
        if not self.config.api_key:
            if path in _CHANGES:
                raise Refused(403, "needs a server with a key: set CLICKWISE_API_KEY where it is started")
            return
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, b"Bearer " + self.config.api_key.encode()):
            raise Refused(401, "the key is missing or wrong: send Authorization: Bearer KEY")

    async def _health(self, request: Request) -> Response:
        """The process lives."""
        return json_response({"live": True})

    async def _ready(self, request: Request) -> Response:
        """It can score, and is not about to stop."""
        if self.stopping():
            raise Refused(503, "the server is about to stop")
        return json_response({"ready": True, "version": self.scoring.serving().traffic.live})

    async def _metrics(self, request: Request) -> Response:
        self.metrics.waiting.set(len(self.scoring.line))
        return Response(200, self.metrics.text(), CONTENT_TYPE)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        loop = asyncio.get_running_loop()
        self.metrics.forget_dead()
        await loop.run_in_executor(None, self.live.refresh)
        self._tell_changes()
        if self.served is not None:
            self.served.start()
        gc.freeze()  # what is there now stays: no collection need look at it again
        watching = threading.Thread(target=self._watch, daemon=True, name="clickwise-watch")
        watching.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._stop.set()
        if self.served is not None:
            await loop.run_in_executor(None, self.served.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _served_log(self) -> ServedLog | None:
        config = self.config
        if not config.served_folder:
            return None
        return ServedLog(
            Path(config.served_folder),
            config.served_share,
            config.served_rows,
            config.served_s,
            counted=lambda outcome, count: self.metrics.served.labels(outcome).inc(count),
            trouble=lambda reason: self.log.event("trouble", reason=f"served requests are not kept: {reason}"),
        )

    def _watch(self) -> None:
        step_back()
        while not self._stop.wait(self.config.poll_s):
            self.live.refresh()
            self.stores.refresh()
            self._tell_changes()
            self.log.tell_turned_away()

    def _tell_changes(self) -> None:
        """Count and log what is new about the versions."""
        known, now = self._known, (self.live.swaps, self.live.refused, self.live.trouble)
        if now == known:
            return
        self._known = now
        for number, reason in self.live.refused.items():
            if known[1].get(number) != reason:
                self.log.event("refused", version=number, reason=reason)
        if self.live.trouble and self.live.trouble != known[2]:
            self.log.event("trouble", reason=self.live.trouble)
        self.metrics.refused.set(len(self.live.refused))
        if self.live.swaps != known[0] and self.live.current is not None:
            traffic = self.live.current.traffic
            self.metrics.swaps.inc(self.live.swaps - known[0])
            self.metrics.live.set(traffic.live)
            told = {"second": traffic.second, "share": traffic.share or None, "shadow": traffic.shadow}
            self.log.event("live", version=traffic.live, **told)
            give_back_memory()
