"""`clickwise serve` when things go wrong: reloads, three times the load it can carry; and does it score as training?

    python benchmarks/serving_faults.py           # the model of serving.py, 200 candidates; about four minutes
    python benchmarks/serving_faults.py --short   # a small model, few requests

One worker with one thread on one core, the load on another, requests at random whether or not earlier ones were
answered. *Reloads*: at half of the rate that one connection reaches, first steadily, then while another version takes
over each second. *Overload*: answers within the bound a second at shares of that rate, the server told to answer within
the bound or not at all. *Parity*: rows scored through the server, and by the bundle's own code.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import report
from clickwise.bundle import load
from clickwise.serving.loadtest.run import target_of
from clickwise.serving.loadtest.step import Step, run_step
from clickwise.serving.store import Store
from http_client import Client
from servers import Server, clickwise_server
from serving import JSON_TYPE, cores, post, turn
from serving_engine import FIELDS, VERSIONS, body, prepared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--precision", choices=VERSIONS, default="fp32")
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each rate of the overload")
    parser.add_argument("--bound-ms", type=float, default=50.0, help="of the overload")
    parser.add_argument("--rows", type=int, default=100_000, help="of the parity")
    parser.add_argument("--dir", type=Path, default=Path("runs/serving_engine"), help="also of serving_engine.py")
    options = parser.parse_args()
    if options.short:
        options.reloads, options.seconds, options.rows = 3, 1.0, 2_000
    rows = 20_000 if options.short else 1_000_000
    folder = prepared(options.dir, rows)
    server_core, load_core = cores()
    bodies = [body(rows, options.candidates, FIELDS // 2, seed) for seed in range(40)]
    with tempfile.TemporaryDirectory(dir=options.dir) as there:
        store = Store(there)
        for _ in range(2):
            store.lead(store.add(folder / VERSIONS[options.precision]))
        with clickwise_server(Path(there), server_core) as server:
            os.sched_setaffinity(0, {load_core})
            capacity = rate_of_one(server, bodies)
            reloads = reloaded(server, store, bodies, capacity / 2, options.reloads)
            worst = parity(server, folder, rows, options)
        bound = ["--set", f"deadline_s={options.bound_ms / 1e3}"]
        with clickwise_server(Path(there), server_core, bound) as server:
            overload = overloaded(server, bodies, capacity, options)
    print(f"{report.machine_line()}\none connection: {capacity:.0f} requests/s of {options.candidates} candidates\n")
    print(
        report.table(("at half of that", "requests", "failed", "median ms", "p99 ms", "memory MB"), reloads), end="\n\n"
    )
    print(report.table(("asked for", "requests/s", "answered", "within the bound", "turned away", "failed"), overload))
    print(f"\nlargest difference of {options.rows:,} logits, served and by the bundle: {worst:.1e}")
    if not options.short:
        tables = {"reloads": reloads, "overload": overload, "parity": worst, "capacity": capacity}
        told = {"candidates": options.candidates, "precision": options.precision, "bound_ms": options.bound_ms}
        report.write_results("serving-faults", {**told, **tables})


def rate_of_one(server: Server, bodies: list[bytes]) -> float:
    """Requests a second of one connection that asks and waits."""
    client = Client(server.port)
    requests = [post(JSON_TYPE, raw) for raw in bodies]
    turn(client, requests, 1.0)
    took = turn(client, requests, 3.0)
    client.close()
    return 1e3 / float(np.mean(took))


def reloaded(server: Server, store: Store, bodies: list[bytes], rate: float, count: int) -> list[tuple[str, ...]]:
    """Steadily, and while versions 1 and 2 take turns each second."""
    seconds = float(count)
    steady = loaded(server, bodies, rate, seconds / 4)
    before = server.memory()
    with changing(store, count):
        busy = loaded(server, bodies, rate, seconds)
    rows = [("steady", steady, before), (f"{count} reloads", busy, server.memory())]
    return [
        (
            name,
            f"{len(step.status):,}",
            str(int((~step.answered).sum())),
            f"{step.percentile_ms(50):.2f}",
            f"{step.percentile_ms(99):.2f}",
            f"{size / 1e6:.0f}",
        )
        for name, step, size in rows
    ]


@contextmanager
def changing(store: Store, count: int) -> Iterator[None]:
    """Another version each second, in a thread."""
    done = threading.Event()

    def change() -> None:
        for number in range(count):
            store.lead(1 + number % 2)
            if done.wait(1.0):
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def overloaded(server: Server, bodies: list[bytes], capacity: float, options: Any) -> list[tuple[str, ...]]:
    rows = []
    for share in (0.7, 0.9, 1.0, 1.5, 3.0):
        step = loaded(server, bodies, share * capacity, options.seconds)
        away = int(np.isin(step.status, (429, 503)).sum())
        failed = len(step.status) - away - int(step.answered.sum())
        figures = (f"{step.answered.sum() / step.seconds:.0f}", f"{step.goodput(options.bound_ms):.0f}")
        rows.append((f"{share:g} of it", f"{share * capacity:.0f}", *figures, str(away), str(failed)))
    return rows


def loaded(server: Server, bodies: list[bytes], rate: float, seconds: float) -> Step:
    return asyncio.run(run_step(target_of(f"http://127.0.0.1:{server.port}"), bodies, rate, seconds))


def parity(server: Server, folder: Path, rows: int, options: Any) -> float:
    """The largest difference between logits that are served and those of the bundle."""
    bundle, client, worst = load(folder / "bundle"), Client(server.port), 0.0
    for seed in range(options.rows // options.candidates):
        raw = body(rows, options.candidates, FIELDS // 2, 1_000 + seed)
        served = np.array(json.loads(client.ask(post(JSON_TYPE, raw)))["probabilities"])
        request = json.loads(raw)
        logits = bundle.logits([{**request["user"], **candidate} for candidate in request["candidates"]])
        worst = max(worst, float(np.abs(np.log(served) - np.log1p(-served) - logits).max()))
    client.close()
    return worst


if __name__ == "__main__":
    main()
