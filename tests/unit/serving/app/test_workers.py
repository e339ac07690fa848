"""Processes that follow one another."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clickwise.serving.app.workers import Flag, Workers
from serving_process import free_port

pytestmark = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")


def told(port: int) -> str:
    """What the next worker says."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as asks:
        return asks.recv(100).decode()


def says_its_number(sockets: list[socket.socket], ending: Flag) -> None:
    for one in sockets:
        one.settimeout(0.05)
    while not ending.is_set():
        try:
            sockets[0].accept()[0].sendall(str(os.getpid()).encode())
        except TimeoutError:
            continue


def running(number: int, work: Callable[[list[socket.socket], Flag], None]) -> tuple[Workers, int, list[int]]:
    port, codes = free_port(), list[int]()
    workers = Workers(number, "127.0.0.1", port, work, 5.0)
    threading.Thread(target=lambda: codes.append(workers.run()), daemon=True).start()
    return workers, port, codes


def ended(codes: list[int]) -> int:
    until = time.monotonic() + 20
    while not codes and time.monotonic() < until:
        time.sleep(0.01)
    return codes[0]


def test_who_waits_for_a_worker_that_died_is_answered_by_the_next() -> None:
    workers, port, codes = running(1, says_its_number)
    first = told(port)
    os.kill(int(first), 19)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as waits:
        os.kill(int(first), 9)
        began = time.monotonic()
        second = waits.recv(100).decode()
    assert second != first and told(port) == second and time.monotonic() - began < 2
    workers.stop()
    assert ended(codes) == 0
    with pytest.raises(ConnectionError):
        told(port)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they share one socket")
def test_connections_are_spread() -> None:
    workers, port, codes = running(3, says_its_number)
    found = {told(port) for _ in range(100)}
    workers.stop()
    assert len(found) == 3 and ended(codes) == 0


@pytest.mark.parametrize(("code", "ends_with", "lives"), [(2, 2, 1), (3, 1, 2)])
def test_who_cannot_live_ends_all(tmp_path: Path, code: int, ends_with: int, lives: int) -> None:
    def dies(sockets: list[socket.socket], ending: Flag) -> None:
        (tmp_path / str(os.getpid())).touch()
        os._exit(code)

    codes = running(1, dies)[2]
    assert ended(codes) == ends_with and len(list(tmp_path.iterdir())) == lives
