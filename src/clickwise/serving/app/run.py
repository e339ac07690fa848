"""`run`: worker processes around the app, from the first request to the last."""

from __future__ import annotations

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

from clickwise.errors import ClickwiseError, MissingExtraError
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.app.workers import Flag, Workers, check_free
from clickwise.serving.one_version import OneVersion
from clickwise.serving.recommends import Recommends
from clickwise.serving.store import Store

_SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
_OTHER_FILES = 200
_SWITCH_S = 0.0005
"""How soon the thread that opens a version lets the one go on that answers; Python's 5 ms would be felt."""


@dataclass(frozen=True)
class _Worker:
    """What each worker does."""

    store: Store | OneVersion
    config: ServerConfig
    stopping: Flag
    recommender: Callable[[], Recommends] | None

    def __call__(self, sockets: list[socket.socket], ending: Flag) -> None:
        from clickwise.native import set_threads
        from clickwise.serving.app.app import App
        from clickwise.serving.app.asgi_server import serve
        from clickwise.serving.engine import Engine
        from clickwise.serving.features.opening import open_stores
        from clickwise.serving.live import Live

        sys.setswitchinterval(_SWITCH_S)
        set_threads(1)  # the other cores are those of the other workers
        with ExitStack() as until_end:
            try:
                recommender = self.recommender() if self.recommender else None
                stores = until_end.enter_context(open_stores(self.config.entities))
            except ClickwiseError as error:
                sys.stderr.write(f"clickwise: error: {error}\n")
                sys.exit(2)
            live = Live(self.store, partial(Engine.open, stores=stores))
            is_stopping = self.stopping.is_set
            app = App(live, self.config, stopping=is_stopping, recommender=recommender, stores=stores)
            serve(app, sockets, ending.is_set)


def run(
    store: Store | OneVersion,
    config: ServerConfig,
    recommender: Callable[[], Recommends] | None = None,
    listens: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then answer what was begun.

    Args:
        store: whose versions to serve.
        recommender: opens what answers `/v1/recommend`, in each worker.
        listens: is called once the address is taken.

    Raises:
        MissingExtraError: the libraries of the server are not installed.
        ConfigError: the address cannot be listened at.
        SystemExit: workers cannot begin (2), or die again and again (1).
    """
    check_free(config.host, config.port)
    _allow_files(2 * config.max_connections + _OTHER_FILES)
    with tempfile.TemporaryDirectory(prefix="clickwise-metrics-") as shared:
        os.environ[_SHARED_METRICS] = shared  # read when prometheus_client is first imported
        try:
            import clickwise.serving.app.asgi_server
            import clickwise.serving.engine.engine  # noqa: F401 - workers inherit what is imported: they start faster
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("clickwise"):
                raise
            raise MissingExtraError(f"clickwise serve ({error.name})", "serve") from None
        stopping = Flag()
        work = _Worker(store, config, stopping, recommender)
        workers = Workers(config.num_workers, config.host, config.port, work, config.stop_s)
        listens()
        stop = _Stop(workers.stop, stopping, config.drain_s)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, stop)
        code = workers.run()
    if code:
        sys.exit(code)


def _allow_files(number: int) -> None:
    """Let each worker have so many files and connections open, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        most = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


class _Stop:
    """At SIGTERM `/readyz` says no at once, and the server stops a little later, when no balancer sends anything any
    more. Ctrl-C, and a second signal, stop it at once.
    """

    def __init__(self, stop: Callable[[], None], stopping: Flag, after_s: float) -> None:
        self._stop, self._stopping, self._after_s = stop, stopping, after_s

    def __call__(self, signum: int = 0, frame: FrameType | None = None) -> None:
        again = self._stopping.is_set()
        self._stopping.set()
        if signum == signal.SIGTERM and not again:
            later = threading.Timer(self._after_s, self._stop)
            later.daemon = True  # a second signal does not wait for it
            later.start()
        else:
            self._stop()
