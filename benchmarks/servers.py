"""The two servers that `serving.py` compares, each in a process of its own on a core of its own choice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clickwise.bundle import Bundle

CLICKWISE, REDUCED, USUAL = "clickwise serve", "clickwise serve, bf16", "FastAPI, torch eager"
START_S = 180


class Server:
    """A process that answers at `port`. A context manager: leaving it ends the process."""

    def __init__(self, command: list[str], port: int, core: int) -> None:
        self.port = port
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        here = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # which the child inherits
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        os.sched_setaffinity(0, here)

    def __enter__(self) -> Server:
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                    return self
            except OSError:
                time.sleep(0.1)
        self._process.kill()
        raise SystemExit(f"does not start: {' '.join(map(str, self._process.args))}")

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def cpu_s(self) -> float:
        """Processor time of its processes until now: no waiting for other work, though that may slow it."""
        return sum(_processor_s(process) for process in _with_children(self._process.pid))

    def memory(self) -> int:
        """Bytes that its processes have in memory, what they share counted once."""
        return sum(_proportional(process) for process in _with_children(self._process.pid))


def clickwise_server(version: Path, core: int, more: Sequence[str] = ()) -> Server:
    """Args:
    version: a version, or a store.
    more: flags.
    """
    port = _free_port()
    command = [sys.executable, "-m", "clickwise", "serve", str(version), "--port", str(port), "--workers", "1", *more]
    return Server(command, port, core)


def usual_server(bundle: Bundle, folder: Path, peers: Path, core: int) -> Server:
    """With the weights of `bundle`, which it finds in `folder` in its own format."""
    weights = {_their_name(name): value.numpy() for name, value in bundle.model.state_dict().items()}
    np.savez(folder / "weights.npz", **weights)
    transforms: Any = bundle.pipeline.transforms
    firsts = zip(bundle.pipeline.columns, bundle.pipeline.inputs.offsets(), strict=True)
    vocabularies = [(name, offset + 2, transforms[name].tokens.to_pylist()) for name, offset in firsts]
    (folder / "vocabularies.json").write_text(json.dumps(vocabularies, default=int))
    script = Path(__file__).parent / "peers/fastapi_server.py"
    port = _free_port()
    return Server([str(peers / "fastapi/bin/python"), str(script), str(folder), str(port)], port, core)


def _their_name(name: str) -> str:
    """As `peers/fastapi_server.py` calls it: hidden layers alternate with ReLUs."""
    if name.startswith("mlp.hidden."):
        _, _, layer, kind = name.split(".")
        return f"mlp.{2 * int(layer)}.{kind}"
    known = {
        "linear.bias": "bias",
        "linear.ids.table.weight": "first.weight",
        "embedding.table.weight": "vectors.weight",
        "mlp.out.weight": "mlp.6.weight",
        "mlp.out.bias": "mlp.6.bias",
    }
    return known[name]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _with_children(process: int) -> list[int]:
    """Its id and those of all that it started."""
    found = [process]
    for one in found:
        found += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return found


def _proportional(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
