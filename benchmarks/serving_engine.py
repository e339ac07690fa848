"""Where the time of a request goes inside the engine, on one thread, beside the usual way of serving such a model.

    python benchmarks/serving_engine.py            # 39 fields x 16, a million rows, 3 x 400, 200 candidates
    python benchmarks/serving_engine.py --short    # a small model, a few requests

The model has random weights and is exported as any other. Requests are all different; half of the columns are the
user's. The usual way: `json`, a dict a field from token to id, torch eager. Both answer the same requests in turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

import report
from clickwise.batch import Batch
from clickwise.bundle import Bundle, Provenance, batch_logits, load
from clickwise.features import FeaturePipeline
from clickwise.features.schema_data import schema_from_data
from clickwise.models import DeepFM, build_model
from clickwise.native import set_threads
from clickwise.pipeline import export
from clickwise.serving.engine import Engine

FIELDS = 39
LIMIT = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--candidates", type=int, nargs="+", default=[200])
    parser.add_argument("--user-fields", type=int, default=FIELDS // 2, help="columns that are the user's")
    parser.add_argument("--dir", type=Path, default=Path("runs/serving_engine"))
    options = parser.parse_args()
    rows, requests = (20_000, 30) if options.short else (1_000_000, 600)
    torch.set_num_threads(1)
    set_threads(1)
    folder = options.dir / f"rows_{rows}"
    if not (folder / "version").exists():
        prepare(folder, rows)
    engine, usual = Engine.open(folder / "version"), Usual(load(folder / "bundle"))
    engine.check()
    table = []
    for candidates in options.candidates:
        bodies = [body(rows, candidates, options.user_fields, seed) for seed in range(requests)]
        agree(engine, usual, bodies[0])
        table += measure(engine, usual, bodies, candidates)
    header = ("stage", "candidates", "median ms", "p99 ms")
    print(report.machine_line(), end="\n\n")
    print(report.table(header, table))
    if not options.short:
        settings = {"fields": FIELDS, "rows": rows, "requests": requests, "user_fields": options.user_fields}
        report.write_results("serving-engine", {**settings, "header": header, "table": table})


def prepare(folder: Path, rows: int) -> None:
    """A bundle of a DeepFM with random weights and vocabularies of `rows` tokens in all; and its version."""
    each = rows // FIELDS
    columns = {f"c{f:02}": [token(f, i) for i in range(each)] for f in range(FIELDS)}
    features = {name: {"transform": "vocabulary", "min_count": 1} for name in columns}
    fit = FeaturePipeline.fitting(
        schema_from_data({"label": "click", "features": features}), dict.fromkeys(columns, pa.string())
    )
    fit.update(pa.RecordBatch.from_pydict(columns))
    pipeline = fit.finish()
    Bundle(pipeline, build_model(DeepFM.Config(embedding_dim=16), pipeline.inputs, 1), Provenance()).save(
        folder / "bundle"
    )
    export(folder / "bundle", folder / "version")


def token(field: int, place: int) -> str:
    """Eight characters, as hashed ids are often written."""
    return f"{(place * 2654435761 + field * 40503) % 2**32:08x}"


def body(rows: int, candidates: int, user_fields: int, seed: int) -> bytes:
    """A request of tokens that the model knows, but for some."""
    rng = np.random.default_rng(seed)
    picked = rng.integers(0, int(rows // FIELDS * 1.02), (candidates, FIELDS))
    cells = [{f"c{f:02}": token(f, int(i)) for f, i in enumerate(row)} for row in picked]
    of_user = {f"c{f:02}" for f in range(user_fields)}
    user = {name: cell for name, cell in cells[0].items() if name in of_user}
    rest = [{name: cell for name, cell in row.items() if name not in of_user} for row in cells]
    return json.dumps({"user": user, "candidates": rest}, separators=(",", ":")).encode()


class Usual:
    """What people write: json, dicts, torch."""

    def __init__(self, bundle: Bundle) -> None:
        self.model = bundle.model
        transforms: Any = bundle.pipeline.transforms
        offsets = bundle.pipeline.inputs.offsets()
        self.rows = [
            (name, {token: offset + 2 + i for i, token in enumerate(transforms[name].tokens.to_pylist())}, offset + 1)
            for name, offset in zip(bundle.pipeline.columns, offsets, strict=True)
        ]

    def score(self, request: bytes) -> np.ndarray:
        data = json.loads(request)
        rows = [{**data["user"], **candidate} for candidate in data["candidates"]]
        sparse = np.array([[known.get(row[name], other) for name, known, other in self.rows] for row in rows], np.int32)
        return batch_logits(self.model, Batch.of(sparse, np.zeros((len(rows), 0), np.float32)))


def agree(engine: Engine, usual: Usual, request: bytes) -> None:
    worst = np.abs(engine.score_json(request, max_candidates=LIMIT).logits - usual.score(request)).max()
    assert worst < 1e-5, worst


def measure(engine: Engine, usual: Usual, bodies: list[bytes], candidates: int) -> list[tuple[str, ...]]:
    """Milliseconds of each stage of each request, after a few that are not counted."""
    took: dict[str, list[float]] = {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        found = work()
        took.setdefault(stage, []).append(1e3 * (time.perf_counter() - started))
        return found

    graph = engine._graph
    for request in bodies:
        read = timed("parse", lambda request=request: engine._reader.read(request, LIMIT))
        encoded = timed("encode", lambda read=read: engine._encoder.request(read).encoded)
        feeds = timed("gather", lambda encoded=encoded: graph.feeds(encoded))
        timed("dense", lambda feeds=feeds: graph.run(feeds))
    for request in bodies:
        timed("total", lambda request=request: engine.score_json(request, max_candidates=LIMIT))
    for request in bodies[: max(20, len(bodies) // 5)]:
        timed("usual: json, dicts, torch", lambda request=request: usual.score(request))
    skipped = 5
    return [
        (stage, str(candidates), f"{np.median(ms[skipped:]):.3f}", f"{np.quantile(ms[skipped:], 0.99):.3f}")
        for stage, ms in took.items()
    ]


if __name__ == "__main__":
    main()
