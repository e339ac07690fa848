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
from clickwise.metrics import probability
from clickwise.models import DeepFM, build_model
from clickwise.native import set_threads
from clickwise.pipeline import export
from clickwise.serving.engine import Engine

FIELDS = 39
LIMIT = 100_000
VERSIONS = {"fp32": "version", "bf16": "version_bf16"}
"""Folders, by precision."""


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
    folder = prepared(options.dir, rows)
    usual, table = Usual(load(folder / "bundle")), []
    engines = {precision: Engine.open(folder / name) for precision, name in VERSIONS.items()}
    for candidates in options.candidates:
        bodies = [body(rows, candidates, options.user_fields, seed) for seed in range(requests)]
        for precision, engine in engines.items():
            if engine.precision == precision:
                engine.check()
                agree(engine, usual, bodies[0])
                table += measure(engine, bodies, candidates)
        table += measure_usual(usual, bodies, candidates)
    header = ("precision", "stage", "candidates", "median ms", "p99 ms")
    print(report.machine_line(), end="\n\n")
    print(report.table(header, table))
    if not options.short:
        settings = {"fields": FIELDS, "rows": rows, "requests": requests, "user_fields": options.user_fields}
        report.write_results("serving-engine", {**settings, "header": header, "table": table})


def prepared(folder: Path, rows: int) -> Path:
    """A bundle of a DeepFM with random weights and vocabularies of `rows` tokens in all; and its versions."""
    there = folder / f"rows_{rows}"
    if (there / VERSIONS["bf16"]).exists():
        return there
    each = rows // FIELDS
    columns = {f"c{f:02}": [token(f, i) for i in range(each)] for f in range(FIELDS)}
    features = {name: {"transform": "vocabulary", "min_count": 1} for name in columns}
    fit = FeaturePipeline.fitting(
        schema_from_data({"label": "click", "features": features}), dict.fromkeys(columns, pa.string())
    )
    fit.update(pa.RecordBatch.from_pydict(columns))
    pipeline = fit.finish()
    bundle = Bundle(pipeline, build_model(DeepFM.Config(embedding_dim=16), pipeline.inputs, 1), Provenance())
    bundle.save(there / "bundle")
    export(there / "bundle", there / VERSIONS["fp32"])
    export(there / "bundle", there / VERSIONS["bf16"], bf16_data=labelled(bundle, rows))
    return there


def labelled(bundle: Bundle, rows: int) -> pa.Table:
    """Random rows, and clicks that the model knows something about."""
    rng = np.random.default_rng(7)
    picked = rng.integers(0, rows // FIELDS, (50_000, FIELDS))
    data = {f"c{f:02}": [token(f, int(i)) for i in picked[:, f]] for f in range(FIELDS)}
    logits = bundle.logits(data)
    chance = probability(2 * (logits - logits.mean()) / logits.std() - 1.5)
    return pa.table({**data, "click": (rng.random(len(chance)) < chance).astype(np.int8)})


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
    assert worst < (1e-5 if engine.precision == "fp32" else 1e-2), worst


def measure(engine: Engine, bodies: list[bytes], candidates: int) -> list[tuple[str, ...]]:
    """Milliseconds of each stage of each request."""
    took = Took(engine.precision, candidates)
    graph = engine._graph
    for request in bodies:
        read = took.timed("JSON to columns", lambda request=request: engine._reader.read(request, LIMIT))
        found = took.timed("columns to table rows", lambda read=read: engine._encoder.request(read))
        rows, shared = found
        vectors = took.timed("table rows to vectors", lambda rows=rows: graph.vectors(rows))
        feeds = took.timed("linear layers", lambda args=(rows, vectors, shared, None): graph.with_towers(*args))
        took.timed("the rest, by ONNX Runtime", lambda feeds=feeds: graph.run(feeds))
    for request in bodies:
        took.timed("all", lambda request=request: engine.score_json(request, max_candidates=LIMIT))
    return took.rows()


def measure_usual(usual: Usual, bodies: list[bytes], candidates: int) -> list[tuple[str, ...]]:
    """The same of the usual way."""
    took = Took("fp32", candidates)
    for request in bodies[: max(20, len(bodies) // 5)]:
        took.timed("the usual way: json, dicts, torch", lambda request=request: usual.score(request))
    return took.rows()


class Took:
    """Milliseconds of stages, after a few that are not counted."""

    def __init__(self, *labels: object) -> None:
        self.precision, self.candidates = map(str, labels)
        self.stages: dict[str, list[float]] = {}

    def timed(self, stage: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        found = work()
        self.stages.setdefault(stage, []).append(1e3 * (time.perf_counter() - started))
        return found

    def rows(self) -> list[tuple[str, ...]]:
        counted = {stage: ms[5:] for stage, ms in self.stages.items()}
        return [
            (self.precision, stage, self.candidates, f"{np.median(ms):.3f}", f"{np.quantile(ms, 0.99):.3f}")
            for stage, ms in counted.items()
        ]


if __name__ == "__main__":
    main()
