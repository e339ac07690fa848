"""`clickwise serve` beside the usual server: FastAPI, pydantic, dicts of tokens, torch eager, uvicorn.

    python benchmarks/serving.py            # DeepFM, 39 fields x 16, a million rows, 3 x 400; about three minutes
    python benchmarks/serving.py --short    # a small model, a few requests; some seconds
    python benchmarks/make_peers.py --only fastapi   # the environment of the other server, once; else it is left out

All have the same weights, get the same requests and give the same probabilities to 1e-4, in bf16 to 1e-3. All run all
the while, as one worker with one thread on one core, and take turns; the load is on another core. bf16 is there where
the processor multiplies it. First one connection asks and
waits; then requests come at random, as many candidates each as in MLPerf's DLRM, at rising rates.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import report
from clickwise.bundle import load
from clickwise.native.precision import resolve
from clickwise.serving.loadtest.bodies import MLPERF_CANDIDATES
from clickwise.serving.loadtest.run import load_test, target_of
from http_client import Client
from servers import CLICKWISE, REDUCED, USUAL, Server, clickwise_server, usual_server
from serving_engine import FIELDS, VERSIONS, body, prepared
from systems import PEERS_FOLDER

BOUND_MS = 10.0
CLOSED = (
    "candidates",
    "system",
    "requests",
    "median ms",
    "p99 ms",
    "requests/s",
    "CPU ms",
    "times the median",
    "the CPU",
)
OPEN = ("system", "requests/s of each turn", "median", "memory MB")
ARROW = {f"{name}, Arrow": name for name in (CLICKWISE, REDUCED)}
"""Requests in another form, to servers that are there."""
JSON_TYPE, ARROW_TYPE = "application/json", "application/vnd.apache.arrow.stream"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--candidates", type=int, nargs="+", default=[1, 10, 100, 200, 1000])
    parser.add_argument("--user-fields", type=int, default=FIELDS // 2, help="columns that are the user's")
    parser.add_argument("--turns", type=int, default=4, help="of each system and number of candidates")
    parser.add_argument("--seconds", type=float, default=0.7, help="of a turn")
    parser.add_argument("--open-turns", type=int, default=2, help="searches of each system for the rate it holds")
    parser.add_argument("--open-seconds", type=float, default=2.0, help="of each rate")
    parser.add_argument("--dir", type=Path, default=Path("runs/serving_engine"), help="also of serving_engine.py")
    parser.add_argument("--peers", type=Path, default=PEERS_FOLDER)
    options = parser.parse_args()
    rows = 20_000 if options.short else 1_000_000
    if options.short:
        options.turns, options.seconds, options.open_turns, options.open_seconds = 2, 0.1, 1, 0.3
    folder = prepared(options.dir, rows)
    server_core, load_core = cores()
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(clickwise_server(folder / VERSIONS[precision], server_core))
            for name, precision in ((CLICKWISE, "fp32"), (REDUCED, resolve("auto")))
            if name == CLICKWISE or precision == "bf16"
        }
        if (options.peers / "fastapi/.ready").exists():
            bundle = load(folder / "bundle")
            servers[USUAL] = stack.enter_context(usual_server(bundle, folder, options.peers, server_core))
        else:
            print(f"{USUAL}: not installed: python benchmarks/make_peers.py --only fastapi")
        os.sched_setaffinity(0, {load_core})
        closed = [row for n in options.candidates for row in one_connection(servers, rows, n, options)]
        opened = many_connections(servers, rows, options)
    show(options, rows, closed, opened)


def cores() -> tuple[int, int]:
    """The server's and the load's."""
    found = sorted(os.sched_getaffinity(0))
    assert len(found) >= 2, "needs two cores: one for the server, one for the load"
    return found[-1], found[0]


def one_connection(servers: dict[str, Server], rows: int, candidates: int, options: Any) -> list[tuple[str, ...]]:
    """Latencies of requests one after the other, the systems in turns, each after a few that do not count."""
    bodies = [body(rows, candidates, options.user_fields, seed) for seed in range(40)]
    in_json, in_arrow = [post(JSON_TYPE, raw) for raw in bodies], [post(ARROW_TYPE, whole_rows(raw)) for raw in bodies]
    requests = dict.fromkeys(servers, in_json) | {name: in_arrow for name, of in ARROW.items() if of in servers}
    asked = {name: servers[ARROW.get(name, name)] for name in requests}
    clients = {name: Client(server.port) for name, server in asked.items()}
    agree({name: clients[name].ask(requests[name][0]) for name in clients})
    took: dict[str, list[float]] = {name: [] for name in clients}
    cpu: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(options.turns):
        for name, client in clients.items():
            turn(client, requests[name], options.seconds / 10)
            before = asked[name].cpu_s()
            new = turn(client, requests[name], options.seconds)
            took[name] += new
            cpu[name].append(1e3 * (asked[name].cpu_s() - before) / len(new))
    for client in clients.values():
        client.close()
    first = float(np.median(took[CLICKWISE])), float(np.median(cpu[CLICKWISE]))
    return [closed_row(candidates, name, np.array(took[name]), float(np.median(cpu[name])), first) for name in took]


def turn(client: Client, requests: list[bytes], seconds: float) -> list[float]:
    """Milliseconds of each request."""
    took: list[float] = []
    begun = time.perf_counter()
    while (started := time.perf_counter()) < begun + seconds or not took:
        client.ask(requests[len(took) % len(requests)])
        took.append(1e3 * (time.perf_counter() - started))
    return took


def closed_row(candidates: int, name: str, ms: np.ndarray, cpu: float, first: tuple[float, float]) -> tuple[str, ...]:
    """Of all turns; processor time is that of the median turn."""
    median = float(np.median(ms))
    figures = (f"{median:.2f}", f"{np.quantile(ms, 0.99):.2f}", f"{1e3 / ms.mean():,.0f}", f"{cpu:.2f}")
    ratios = (f"{median / first[0]:.2f}", f"{cpu / first[1]:.2f}" if first[1] else "-")
    return str(candidates), name, str(len(ms)), *figures, *ratios


def many_connections(servers: dict[str, Server], rows: int, options: Any) -> list[tuple[str, ...]]:
    """The rate that holds p99 within the bound, by an open loop, the systems in turns."""
    sizes = np.random.default_rng(7).permutation(MLPERF_CANDIDATES).tolist()
    bodies = [body(rows, size, options.user_fields, seed) for seed, size in enumerate(sizes)]
    rates = (20.0,) if options.short else ()
    held: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(options.open_turns):
        for name, server in servers.items():
            target = target_of(f"http://127.0.0.1:{server.port}")
            found = load_test(target, bodies, bound_ms=BOUND_MS, seconds=options.open_seconds, rates=rates)
            held[name].append(found.best_rate or 0.0)
    return [
        (name, " ".join(f"{rate:.0f}" for rate in found), f"{np.median(found):.0f}" if found else "-", f"{mb:.0f}")
        for name, found in held.items()
        for mb in [servers[name].memory() / 1e6]
    ]


def post(kind: str, raw: bytes) -> bytes:
    head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


def whole_rows(raw: bytes) -> bytes:
    """The same request as an Arrow stream."""
    request = json.loads(raw)
    batch = pa.RecordBatch.from_pylist([{**request["user"], **candidate} for candidate in request["candidates"]])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def agree(answers: dict[str, bytes]) -> None:
    """Raises: an answer has other probabilities."""
    found = {
        name: np.asarray(pa.ipc.open_stream(answer).read_all().column("probability"))
        if name in ARROW
        else np.array(json.loads(answer)["probabilities"])
        for name, answer in answers.items()
    }
    for name, probabilities in found.items():
        worst = np.abs(probabilities - found[CLICKWISE]).max()
        assert worst < (1e-3 if name.startswith(REDUCED) else 1e-4), (name, worst)


def show(options: Any, rows: int, closed: list[tuple[str, ...]], opened: list[tuple[str, ...]]) -> None:
    print(report.machine_line(), end="\n\n")
    print(report.table(CLOSED, closed, left=2), end="\n\n")
    print(f"Rate that keeps p99 within {BOUND_MS:g} ms, {np.mean(MLPERF_CANDIDATES):.0f} candidates on average:\n")
    print(report.table(OPEN, opened))
    if not options.short:
        told = {key: value for key, value in vars(options).items() if not isinstance(value, Path)}
        tables = {"closed": {"header": CLOSED, "rows": closed}, "open": {"header": OPEN, "rows": opened}}
        report.write_results("serving", {"fields": FIELDS, "rows": rows, **told, **tables})


if __name__ == "__main__":
    main()
