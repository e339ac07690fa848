"""Criteo-like text to ids: rows a second and peak memory, beside polars and pandas as a good user writes them.

    .venv/bin/python benchmarks/text_to_ids.py --short

Data: label, 13 integers and 26 hex tokens a row, tab-separated, some missing; Zipf tokens with Criteo's numbers of ids.
Every system takes the same file to one int32 matrix of ids on disk: integers by quantile buckets, tokens by a
vocabulary of those seen twice or by hashing. Each run is a process of its own; the systems take turns, so that a busy
machine slows them alike, and the table shows the best of the turns. clickwise moreover digests the file, splits off a
tenth of the rows for validation, keeps rows that cannot be read apart, and saves the fitted features.

- read: Arrow's CSV reader alone, as clickwise reads, one thread: one pass. clickwise makes two.
- fit, encode: the two passes of clickwise; the rest of its total is digest, saving and syncing to disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from clickwise.data.config import DataConfig
from clickwise.data.encode import prepare
from clickwise.data.open import open_source
from clickwise.features import Bucket, Hashing, Vocabulary
from clickwise.native import Tier, kernels, tier
from clickwise.progress import Progress
from clickwise.schema import Feature, Schema

CRITEO = [1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10]
CRITEO += [5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572]
NUMBERS, TOKENS = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
BUCKETS, HASHES = 32, 1_000_000
Seconds = dict[str, float]


def write_text(rows: int, path: Path, seed: int = 0) -> None:
    """Generate the file."""
    rng = np.random.default_rng(seed)
    columns = {"label": pa.array((rng.random(rows) < 0.25).astype(np.int8)).cast(pa.string())}
    for i, name in enumerate(NUMBERS):
        count = np.floor(np.exp(rng.normal(0, 1.3, rows)) * 3.0 ** (i % 6)).astype(np.int64)
        columns[name] = pc.if_else(pa.array(rng.random(rows) < 0.2), "", pa.array(count).cast(pa.string()))
    for i, (name, ids) in enumerate(zip(TOKENS, CRITEO, strict=True)):
        mass = np.cumsum(np.arange(1, ids + 1, dtype=np.float64) ** -1.1)
        drawn = np.minimum(np.searchsorted(mass / mass[-1], rng.random(rows)), ids - 1)
        distinct, which = np.unique(drawn, return_inverse=True)
        text = pa.array([f"{(int(d) * 2654435761 + i * 977) & 0xFFFFFFFF:08x}" for d in distinct])
        columns[name] = pc.if_else(pa.array(rng.random(rows) < (0.0, 0.1)[i % 2]), "", text.take(pa.array(which)))
    options = pacsv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    pacsv.write_csv(pa.table(columns), path, options)


class _Stages(Progress):
    """When each pass began and ended."""

    def __init__(self) -> None:
        self.seconds: Seconds = {}

    def start(self, stage: str, total: int | None = None) -> None:
        self._stage, self._began = stage, time.perf_counter()

    def finish(self) -> None:
        self.seconds[self._stage.split()[0]] = time.perf_counter() - self._began


def clickwise(path: Path, mode: str, out: Path) -> Seconds:
    token = Vocabulary.Config(min_count=2) if mode == "vocabulary" else Hashing.Config(num_buckets=HASHES)
    features = [Feature(name=n, column=n, config=Bucket.Config(num_buckets=BUCKETS)) for n in NUMBERS]
    features += [Feature(name=n, column=n, config=token) for n in TOKENS]
    config = DataConfig(format="criteo", cache_dir=str(out))
    stages = _Stages()
    prepare(open_source(path, config), Schema(label="label", features=tuple(features)), config, progress=stages)
    return stages.seconds


def read(path: Path, mode: str, out: Path) -> Seconds:
    names = ["label", *NUMBERS, *TOKENS]
    reader = pacsv.open_csv(
        path,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=1 << 22, column_names=names),
        parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True),
    )
    for _ in reader:
        pass
    return {}


def polars(path: Path, mode: str, out: Path) -> Seconds:
    import polars as pl

    types = dict.fromkeys(["label", *NUMBERS], pl.Int64()) | dict.fromkeys(TOKENS, pl.String())
    data = pl.read_csv(path, has_header=False, separator="\t", new_columns=list(types), schema=types, quote_char=None)
    ids = []
    for name in NUMBERS:
        column = data[name]
        cuts = np.unique(np.quantile(column.drop_nulls().to_numpy(), np.linspace(0, 1, BUCKETS + 1)[1:-1]))
        place = np.searchsorted(cuts, column.fill_null(0).to_numpy(), side="right") + 2
        ids.append(np.where(column.is_null().to_numpy(), 0, place).astype(np.int32))
    for name in TOKENS:
        if mode == "hashing":
            hashed = data.select(pl.when(pl.col(name).is_null()).then(0).otherwise(pl.col(name).hash() % HASHES + 2))
            ids.append(hashed.to_series().cast(pl.Int32).to_numpy())
            continue
        kept = data[name].drop_nulls().value_counts(sort=True).filter(pl.col("count") >= 2).select(name)
        index = kept.with_columns(id=pl.int_range(2, pl.len() + 2, dtype=pl.Int32))
        found = data.select(name).join(index, on=name, how="left", maintain_order="left")
        ids.append(found.select(pl.when(pl.col(name).is_null()).then(0).otherwise(pl.col("id").fill_null(1)))
                   .to_series().cast(pl.Int32).to_numpy())  # fmt: skip
    np.save(out / "ids.npy", np.stack(ids, axis=1))
    return {}


def pandas(path: Path, mode: str, out: Path) -> Seconds:
    import pandas as pd

    types = dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(TOKENS, "str")
    names = ["label", *NUMBERS, *TOKENS]
    data = pd.read_csv(path, sep="\t", header=None, names=names, dtype=types, engine="c", quoting=3)
    ids = []
    for name in NUMBERS:
        column = data[name].to_numpy()
        cuts = np.unique(np.nanquantile(column, np.linspace(0, 1, BUCKETS + 1)[1:-1]))
        place = np.searchsorted(cuts, column, side="right") + 2
        ids.append(np.where(np.isnan(column), 0, place).astype(np.int32))
    for name in TOKENS:
        if mode == "hashing":
            hashed = pd.util.hash_array(data[name].fillna("").to_numpy(object)) % HASHES + 2
            ids.append(np.where(data[name].isna(), 0, hashed).astype(np.int32))
            continue
        codes, values = pd.factorize(data[name])
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        order = np.argsort(-counts, kind="stable")
        id_of = np.empty(len(values) + 1, np.int32)
        id_of[order] = np.where(counts[order] >= 2, np.arange(2, len(values) + 2), 1)
        id_of[-1] = 0
        ids.append(id_of[codes])
    np.save(out / "ids.npy", np.stack(ids, axis=1))
    return {}


SYSTEMS: dict[str, Callable[[Path, str, Path], Seconds]] = {
    "clickwise": clickwise,
    "clickwise, no kernels": clickwise,
    "polars": polars,
    "pandas": pandas,
    "read": read,
}


def one_run(system: str, path: Path, mode: str) -> None:
    """In a process of its own: print the seconds and the peak memory in MB."""
    if system in ("polars", "pandas"):
        __import__(system)
    with tempfile.TemporaryDirectory(dir=path.parent) as out:
        began, busy = time.perf_counter(), time.process_time()
        stages = SYSTEMS[system](path, mode, Path(out))
        total, processor = time.perf_counter() - began, time.process_time() - busy
    print(json.dumps({**stages, "total": total, "processor": processor, "peak": peak_mb()}))


def peak_mb() -> float:
    """Peak resident memory. ru_maxrss begins with the parent's, so Linux is asked for that of this program alone."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    here = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
    return (here or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="a fifth of the rows, two turns")
    parser.add_argument("--dir", type=Path, default=Path("runs/text_to_ids"))
    parser.add_argument("--system", help=argparse.SUPPRESS)
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows, turns = (options.rows // 5, 2) if options.short else (options.rows, options.turns)
    path = options.dir / f"criteo_like_{rows}.tsv"
    if options.system:
        return one_run(options.system, path, options.mode)
    options.dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_text(rows, path)
    print(f"{machine()}; polars, pandas and clickwise may use all of them")
    print(f"kernels: {kernels().isa() if tier() > Tier.TORCH else 'none'}; "
          f"{rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB of text; best of {turns} turns\n")  # fmt: skip
    print(f"{'':12}{'system':24}{'rows/s':>10}{'seconds':>9}{'fit':>7}{'encode':>8}{'cpu s':>7}{'peak MB':>9}")
    for mode in ("vocabulary", "hashing"):
        runs: dict[str, list[Seconds]] = {system: [] for system in SYSTEMS}
        for _ in range(turns):
            for system in SYSTEMS:
                runs[system].append(child(system, mode, options, rows))
        for system, each in runs.items():
            best = min(each, key=lambda seconds: seconds["total"])
            stages = "".join(f"{best[s]:{w}.2f}" if s in best else f"{'':{w}}" for s, w in (("fit", 7), ("encode", 8)))
            print(f"{mode:12}{system:24}{rows / best['total']:10,.0f}{best['total']:9.2f}{stages}"
                  f"{min(s['processor'] for s in each):7.2f}{best['peak']:9,.0f}")  # fmt: skip


def child(system: str, mode: str, options: argparse.Namespace, rows: int) -> Seconds:
    """The figures of one run."""
    tiers = {"CLICKWISE_KERNELS": "torch"} if system.endswith("no kernels") else {}
    command = [sys.executable, __file__, "--rows", str(rows), "--dir", str(options.dir), "--system", system]
    done = subprocess.run(
        [*command, "--mode", mode], env=os.environ | tiers, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def machine() -> str:
    """The processor's name, where the system says it, and how many."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
