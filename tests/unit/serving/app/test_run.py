"""How a server stops, and what it checks before it starts."""

from __future__ import annotations

import resource
import signal
import socket
import threading
import time

import pytest

from clickwise.errors import ConfigError
from clickwise.serving.app.run import _allow_files, _Stop
from clickwise.serving.app.workers import check_free


def test_sigterm_says_so_first_and_stops_later() -> None:
    stopping, stopped = threading.Event(), threading.Event()
    stop = _Stop(stopped.set, stopping, 0.15)
    began = time.perf_counter()
    stop(signal.SIGTERM)
    assert stopping.is_set() and not stopped.is_set()
    assert stopped.wait(5) and time.perf_counter() - began >= 0.15


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]]
)
def test_ctrl_c_and_a_second_signal_stop_at_once(signals: list[int]) -> None:
    stopping, stops = threading.Event(), list[int]()
    stop = _Stop(lambda: stops.append(1), stopping, 0.2)
    for one in signals:
        stop(one)
    assert stopping.is_set() and stops == [1]
    time.sleep(0.3)


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port}: Address already in use"):
            check_free("127.0.0.1", port)
    check_free("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"cannot listen at no\.such\.host\.invalid"):
        check_free("no.such.host.invalid", port)


def test_files_are_allowed_as_far_as_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(100, 1000)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: limits.append(new))
    for wanted in (500, 400, 5000):
        _allow_files(wanted)
    assert limits == [(100, 1000), (500, 1000), (1000, 1000)]
