"""What comes after training: metrics, evaluation, prediction and opening a bundle, in one table.

    python benchmarks/scoring_rate.py              # 40 million scores, 1 million rows, a table of 2 GB
    python benchmarks/scoring_rate.py --short      # a quick look

Rows are simulated and a factorisation machine is trained on some of them (kept in `--dir`). Every measurement runs in a
process of its own; peaks are of its resident memory. The time of metrics leaves out making the scores up.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import clickwise as cw
from clickwise.metrics import StreamingMetrics

_BLOCK = 1 << 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--dir", type=Path, default=Path("runs/scoring_rate"))
    options = parser.parse_args()
    scores, rows, table = (2_000_000, 50_000, 500_000) if options.short else (40_000_000, 1_000_000, 33_000_000)
    bundle, text = prepare(options.dir, rows)
    big = options.dir / f"table_{table}"
    if not big.exists():
        apart(large_bundle, big, table)
    measurements: list[tuple[str, Callable[..., str], tuple[Any, ...]]] = [
        (f"all metrics of {scores:,} scores", metrics, (scores,)),
        ("  scikit-learn roc_auc_score alone", scikit_learn, (scores,)),
        (
            f"evaluate, {rows:,} rows of CSV",
            evaluate,
            (
                bundle,
                text,
            ),
        ),
        (
            "predict, CSV to Parquet",
            predict,
            (
                bundle,
                text,
                options.dir / "out.parquet",
            ),
        ),
        (
            "predict, CSV to CSV",
            predict,
            (
                bundle,
                text,
                options.dir / "out.csv",
            ),
        ),
        (
            "one row, from Python",
            one_row,
            (
                bundle,
                text,
            ),
        ),
        (f"open a bundle, table {table * 64 / 1e9:.2f} GB", open_bundle, (big,)),
        ("inspect it (every byte)", inspect, (big,)),
    ]
    for name, measure, arguments in measurements:  # each is shown as soon as it is there
        figure, peak = apart(measure, *arguments)
        print(f"  {name:<40}{figure:>20}{peak:>8,.0f} MB peak", flush=True)
    print(f"  {os.cpu_count()} cores")


def apart(measure: Callable[..., str], *arguments: Any) -> tuple[str, float]:
    """`measure(*arguments)` in a new process: what it says, and the peak of its memory in MB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_with_peak, (measure, arguments))


def _with_peak(measure: Callable[..., str], arguments: tuple[Any, ...]) -> tuple[str, float]:
    figure = measure(*arguments)
    return figure, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def prepare(folder: Path, rows: int) -> tuple[Path, Path]:
    """A trained bundle and the CSV file to score."""
    folder.mkdir(parents=True, exist_ok=True)
    train, text, bundle = folder / "train.parquet", folder / f"rows_{rows}.csv", folder / "bundle"
    if not bundle.exists():
        cw.simulate(train, rows=200_000)
        cw.train(train, label="click", model="fm", out=bundle, settings=["training.epochs=1"])
    if not text.exists():
        cw.simulate(text, rows=rows, seed=8)
    return bundle, text


def large_bundle(out: Path, rows: int) -> str:
    """Save an untrained FM whose one table has `rows` rows of 16 numbers."""
    import pyarrow as pa

    from clickwise.bundle import Provenance
    from clickwise.features.pipeline import FeaturePipeline
    from clickwise.features.schema_data import schema_from_data
    from clickwise.models import build_model

    feature = {"transform": "hashing", "column": "id", "num_buckets": rows}
    schema = schema_from_data({"label": "click", "features": {"id": feature}})
    pipeline = FeaturePipeline.fitting(schema, {"id": pa.string()}).finish()
    cw.Bundle(pipeline, build_model(cw.FM.Config(embedding_dim=16), pipeline.inputs, 0, 0.1), Provenance()).save(out)
    return str(out)


def _blocks(count: int) -> Any:
    rng = np.random.default_rng(0)
    for begin in range(0, count, _BLOCK):
        n = min(_BLOCK, count - begin)
        logit = rng.standard_normal(n, np.float32) - 3
        yield logit, rng.random(n, np.float32) < 1 / (1 + np.exp(-logit))


def metrics(count: int) -> str:
    stream, seconds = StreamingMetrics(), 0.0
    for logit, label in _blocks(count):
        began = time.perf_counter()
        stream.update(logit, label)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    stream.compute(), stream.standard_errors(), stream.reliability_bins()
    return f"{seconds + time.perf_counter() - began:.2f} s"


def scikit_learn(count: int) -> str:
    from sklearn.metrics import roc_auc_score

    logit, label = (np.concatenate(column) for column in zip(*_blocks(count), strict=True))
    began = time.perf_counter()
    roc_auc_score(label, logit)
    return f"{time.perf_counter() - began:.2f} s"


def evaluate(bundle: Path, text: Path) -> str:
    report = cw.evaluate(cw.load(bundle), text)
    return f"{report.rows / report.seconds:,.0f} rows/s"


def predict(bundle: Path, text: Path, out: Path) -> str:
    summary = cw.predict(cw.load(bundle), text, out)
    return f"{summary.rows / summary.seconds:,.0f} rows/s"


def one_row(bundle: Path, text: Path) -> str:
    from clickwise.pipeline import first_rows

    row, opened, times = first_rows(text, 1), cw.load(bundle), []
    for _ in range(300):
        began = time.perf_counter()
        opened.predict(row)
        times.append(time.perf_counter() - began)
    return f"{statistics.median(times) * 1e3:.2f} ms"


def open_bundle(folder: Path) -> str:
    from clickwise import bundle, pipeline  # noqa: F401 - the time to import is not that to open

    began = time.perf_counter()
    cw.load(folder)
    return f"{(time.perf_counter() - began) * 1e3:.1f} ms"


def inspect(folder: Path) -> str:
    began = time.perf_counter()
    cw.inspect(folder)
    return f"{time.perf_counter() - began:.2f} s"


if __name__ == "__main__":
    main()
