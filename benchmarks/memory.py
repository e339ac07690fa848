"""Peak memory from text to a trained model, on data larger than the memory it takes.

    python benchmarks/memory.py                      # 20 million rows, as the claim in the README
    python benchmarks/memory.py --rows 1000000       # a quick look

Simulates `--rows` impressions as CSV text (once; kept in `--dir`), runs `clickwise train` on it in a process of its own
with an empty cache, and prints the peak resident memory of that process beside the size of its embedding tables and
optimiser state. The claim: peak - tables - state < 2 GB, whatever the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from report import cpu

GB = 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--model", default="deepfm")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=Path("runs/memory"))
    options = parser.parse_args()

    options.dir.mkdir(parents=True, exist_ok=True)
    text = options.dir / f"simulated_{options.rows}.csv"
    command = [sys.executable, "-m", "clickwise"]
    if not text.exists():
        subprocess.run([*command, "simulate", str(text), "--rows", str(options.rows)], check=True)
    cache, bundle = options.dir / "cache", options.dir / "bundle"
    shutil.rmtree(cache, ignore_errors=True)
    epochs = ["--set", f"training.epochs={options.epochs}"]
    before = time.perf_counter()
    training = subprocess.Popen(
        [*command, "train", str(text), "--label", "click", "--model", options.model, "--out", str(bundle), *epochs],
        env={**os.environ, "CLICKWISE_CACHE": str(cache)},
    )
    _, status, usage = os.wait4(training.pid, 0)  # the usage of this process alone
    if status:
        sys.exit("training failed")
    seconds, peak = time.perf_counter() - before, usage.ru_maxrss * 1024
    report(options, text, bundle, cache, peak, seconds)


def report(options: argparse.Namespace, text: Path, bundle: Path, cache: Path, peak: int, seconds: float) -> None:
    """Print one table: what went in, what it took, how good it became."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    weights = manifest["files"]["weights.safetensors"]["size_bytes"]
    state = 2 * weights  # Adam keeps two numbers for each weight
    encoded = sum(f.stat().st_size for f in cache.rglob("*.rows"))
    beyond = peak - weights - state
    rows = [
        ("rows", f"{options.rows:,}"),
        ("text", f"{text.stat().st_size / GB:.2f} GB"),
        ("encoded", f"{encoded / GB:.2f} GB on disk"),
        ("weights + optimiser state", f"{(weights + state) / GB:.2f} GB"),
        ("peak resident memory", f"{peak / GB:.2f} GB"),
        ("beyond the tables", f"{beyond / GB:.2f} GB  (claim: under 2)"),
        ("text to trained model", f"{seconds:.0f} s, {options.rows / seconds:,.0f} rows/s"),
        ("training alone", f"{manifest['training']['rows'] / manifest['training']['seconds']:,.0f} rows/s"),
        *((f"validation {name}", f"{value:.5f}") for name, value in manifest["metrics"]["valid"].items() if value),
        ("machine", f"{cpu()}, {os.cpu_count()} cores"),
    ]
    for name, value in rows:
        print(f"  {name:<31}{value}")
    if beyond >= 2 * GB:
        sys.exit("the claim does not hold")


if __name__ == "__main__":
    main()
