"""`run`: granian's worker processes around the app, from the first request to the last."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from clickwise.errors import ClickwiseError, ConfigError, MissingExtraError
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.one_version import OneVersion
from clickwise.serving.recommends import Recommends
from clickwise.serving.store import Store

if TYPE_CHECKING:
    from clickwise.serving.app.app import App

_LOGGING = {
    "formatters": {"line": {"format": '{"event":"granian","message":"%(message)s"}'}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["stderr"], "propagate": False}},
}
_SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
_OTHER_FILES = 200
_SWITCH_S = 0.0005
"""How soon the thread that opens a version lets the one go on that answers; Python's 5 ms would be felt."""


@dataclass(frozen=True)
class _Loader:
    """Makes the app of one worker, in that worker."""

    store: Store | OneVersion
    config: ServerConfig
    stopping: Any
    recommender: Callable[[], Recommends] | None

    def __call__(self) -> App:
        from clickwise.native import set_threads
        from clickwise.serving.app.app import App
        from clickwise.serving.engine import Engine
        from clickwise.serving.features.opening import open_stores
        from clickwise.serving.live import Live

        sys.setswitchinterval(_SWITCH_S)
        set_threads(1)  # the other cores are those of the other workers
        try:
            recommender = self.recommender() if self.recommender else None
            until_end = ExitStack()
            stores = until_end.enter_context(open_stores(self.config.entities))
            atexit.register(until_end.close)
        except ClickwiseError as error:
            sys.stderr.write(f"clickwise: error: {error}\n")
            sys.exit(2)
        live = Live(self.store, partial(Engine.open, stores=stores))
        return App(live, self.config, stopping=self.stopping.is_set, recommender=recommender, stores=stores)


def run(store: Store | OneVersion, config: ServerConfig, recommender: Callable[[], Recommends] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; then answer what was begun.

    Args:
        store: whose versions to serve.
        recommender: opens what answers `/v1/recommend`, in each worker.

    Raises:
        MissingExtraError: the libraries of the server are not installed.
        ConfigError: the address cannot be listened at.
    """
    _check_free(config.host, config.port)
    _allow_files(config.max_connections + _OTHER_FILES)
    with tempfile.TemporaryDirectory(prefix="clickwise-metrics-") as shared:
        os.environ[_SHARED_METRICS] = shared  # read when prometheus_client is first imported
        try:
            from granian import Granian
            from granian.constants import HTTPModes, Interfaces, Loops
            from granian.http import HTTP1Settings
            from granian.log import LogLevels

            import clickwise.serving.app.app
            import clickwise.serving.engine.engine  # noqa: F401 - workers inherit what is imported: they start faster
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("clickwise"):
                raise
            raise MissingExtraError(f"clickwise serve ({error.name})", "serve") from None
        stopping = multiprocessing.Event()
        server = Granian(
            "clickwise",
            address=config.host,
            port=config.port,
            interface=Interfaces.ASGI,
            workers=config.num_workers,
            loop=Loops.asyncio,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=config.max_connections,
            http1_settings=HTTP1Settings(header_read_timeout=round(config.header_s * 1000)),
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
            respawn_failed_workers=True,
            workers_kill_timeout=round(config.stop_s),
        )
        server.signal_handler_interrupt = _Stop(server.signal_handler_interrupt, stopping, config.drain_s)  # type: ignore[method-assign]
        server.serve(target_loader=_Loader(store, config, stopping, recommender), wrap_loader=False)


def _allow_files(number: int) -> None:
    """Let each worker have so many files and connections open, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        most = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _check_free(host: str, port: int) -> None:
    """Workers share the port, and would share it with another server too."""
    try:
        for kind, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            with socket.socket(kind, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        raise ConfigError("host", f"cannot listen at {host}:{port}: {error.strerror}") from None


class _Stop:
    """At SIGTERM `/readyz` says no at once, and the server stops a little later, when no balancer sends anything any
    more. Ctrl-C, and a second signal, stop it at once.
    """

    def __init__(self, stop: Callable[[], None], stopping: Any, after_s: float) -> None:
        self._stop, self._stopping, self._after_s = stop, stopping, after_s

    def __call__(self, signum: int = 0, frame: FrameType | None = None) -> None:
        again = self._stopping.is_set()
        self._stopping.set()
        if signum == signal.SIGTERM and not again:
            threading.Timer(self._after_s, self._stop).start()
        else:
            self._stop()
