"""`clickwise serve` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`clickwise serve` in a process of its own."""

    def __init__(self, path: Path, *words: str, **environment: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "clickwise", "serve", str(path), "--port", str(self.port), *words]
        more = {**os.environ, **environment}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - no pipe: who says much would wait
        self.process = subprocess.Popen(command, stderr=self._said, text=True, env=more)

    def wait_ready(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            if self.get("/readyz")[0] == 200:
                return
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(self.ended())

    def get(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        raw = None if body is None else json.dumps(body).encode()
        told = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", raw, told)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def stop(self) -> str:
        """What it said."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> str:
        """What it said, once it has ended."""
        self.process.wait(timeout=30)
        with self._said as said:
            said.seek(0)
            return said.read()
