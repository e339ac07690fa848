"""`serve`: uvicorn around the app, in one worker."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

import msgspec
import uvicorn

from clickwise.serving.app.app import App
from clickwise.serving.app.protocol import Protocol

_IDLE_S = 75


def serve(app: App, sockets: list[socket.socket], is_ending: Callable[[], bool]) -> None:
    """Answer what comes through the sockets, until it is to end; then what was begun."""
    _Server(configured(app), is_ending).run(sockets=sockets)


def configured(app: App) -> uvicorn.Config:
    """How uvicorn is to call the app."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=partial(Protocol, door={}),  # type: ignore[arg-type]
        ws="none",
        loop="uvloop" if find_spec("uvloop") else "asyncio",
        lifespan="on",
        log_config=_logging(),
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=max(1, round(app.config.stop_s)),
    )


class _Server(uvicorn.Server):
    """Its end is not told by signals, which the process that started it gets."""

    def __init__(self, config: uvicorn.Config, is_ending: Callable[[], bool]) -> None:
        super().__init__(config)
        self._is_ending, self._parent = is_ending, os.getppid()

    async def on_tick(self, counter: int) -> bool:
        if self._is_ending() or os.getppid() != self._parent:
            self.should_exit = True
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Lines(logging.Formatter):
    """Lines of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        told = {"time": round(record.created, 3), "event": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0]:
            told["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
        return msgspec.json.encode(told).decode()


def _logging() -> dict:
    """What the libraries say is said where it is a mistake, as everything else is said."""
    told = {"handlers": ["lines"], "level": "ERROR", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": _Lines}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines", "stream": sys.stderr}},
        "loggers": {"uvicorn": told, "asyncio": told},
    }
