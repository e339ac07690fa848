"""`Workers`: processes that answer, each at a socket of its own; one that dies is followed by another."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from clickwise.errors import ConfigError

_TWICE_S = 5.0
_GRACE_S = 3.0
"""What a worker may take for its end beside its requests: what was served is written then."""
_BACKLOG = 2_048
_SHARES = sys.platform == "linux"
"""Whether the kernel spreads connections over sockets of one port."""


class Flag:
    """Once set, it stays so, for all processes that were forked since it was made. Who is killed leaves no lock behind:
    there is none.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._shared[0] = 1

    def is_set(self) -> bool:
        return self._shared[0] == 1


class Workers:
    """Args:
    number: of processes.
    work: what each does with its sockets, until `ending` is set; it exits with 2 where it cannot begin.
    stop_s: how long they have to end.
    """

    def __init__(
        self, number: int, host: str, port: int, work: Callable[[list[socket.socket], Flag], None], stop_s: float
    ) -> None:
        self._work, self._stop_s, self.ending = work, stop_s, Flag()
        self._fork = multiprocessing.get_context("fork")
        ways = [listening(host, port) for _ in range(number if _SHARES else 1)]
        self._sockets = [ways[n % len(ways)] for n in range(number)]
        self._woken, self._wake = os.pipe()

    def stop(self) -> None:
        """Ask them to end, from a signal's handler or another thread; `run` sees to it."""
        os.write(self._wake, b"x")

    def run(self) -> int:
        """Until they were stopped, or one of them cannot be kept alive; gives the exit code."""
        workers = [self._start(place) for place in range(len(self._sockets))]
        died = [-_TWICE_S] * len(workers)
        code: int | None = None
        while code is None:
            ready = wait([self._woken, *(worker.sentinel for worker in workers)])
            if self._woken in ready:
                code = 0
                break
            for place, worker in enumerate(workers):
                if worker.sentinel not in ready:
                    continue
                worker.join()
                now = time.monotonic()
                if worker.exitcode == 2 or now - died[place] < _TWICE_S:
                    code = 2 if worker.exitcode == 2 else 1
                    break
                died[place] = now
                workers[place] = self._start(place)
        self._end(workers)
        return code

    def _start(self, place: int) -> BaseProcess:
        worker = self._fork.Process(target=self._worker, args=(place,), name=f"clickwise-worker-{place + 1}")
        worker.start()
        return worker

    def _worker(self, place: int) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):  # which may come to all of a group: who started it decides
            signal.signal(signum, signal.SIG_IGN)
        mine = self._sockets[place]
        for sockets in self._sockets:
            if sockets is not mine:
                close(sockets)
        self._work(mine, self.ending)

    def _end(self, workers: list[BaseProcess]) -> None:
        for sockets in self._sockets:
            close(sockets)
        self.ending.set()
        until = time.monotonic() + self._stop_s + _GRACE_S
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
            if worker.exitcode is None:
                worker.kill()
                worker.join()


def listening(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of `host`.

    Raises:
        ConfigError: they cannot.
    """
    made: list[socket.socket] = []
    try:
        for family, kind, _, _, address in _addresses(host, port):
            one = socket.socket(family, kind)
            made.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if _SHARES:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(_BACKLOG)
            one.setblocking(False)
    except OSError as error:
        close(made)
        raise _cannot_listen(host, port, error) from None
    return made


def check_free(host: str, port: int) -> None:
    """Workers share the port, and would share it with another server too.

    Raises:
        ConfigError: another one has it.
    """
    try:
        for family, kind, _, _, address in _addresses(host, port):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None


def close(sockets: list[socket.socket]) -> None:
    """All of them."""
    for one in sockets:
        one.close()


def _addresses(host: str, port: int) -> list[tuple]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError("host", f"cannot listen at {host}:{port}: {error.strerror}")
