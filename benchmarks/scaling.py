"""The cost of a training step of DeepFM against one thing at a time: table rows, fields, dimension, threads, batch.

    python benchmarks/scaling.py                       # five tables
    python benchmarks/scaling.py --only fields batch --system clickwise:rowwise_adagrad

All settings of one table take turns in one run. The first line of a table is what the last column compares with.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from criteo_like import field_sizes
from report import machine_line, table, write_results
from systems import DATA_FOLDER, PEERS_FOLDER, Entry, Outcome, Rhythm, parse_system, race
from training_rate import entries_for


@dataclass(frozen=True)
class Setting:
    """A point of a table: the size of the data, and what differs in the task."""

    value: int
    rows: int = 1_000_000
    fields: int = 39
    changes: dict[str, Any] = field(default_factory=dict)


SWEEPS = {
    "rows": [Setting(v, rows=v) for v in (100_000, 1_000_000, 10_000_000, 33_000_000)],
    "fields": [Setting(f, fields=f) for f in (10, 20, 39, 78)],
    "dimension": [Setting(d, changes={"embedding_dim": d}) for d in (4, 8, 16, 32, 64)],
    "threads": [Setting(t, changes={"threads": t}) for t in (1, 2)],
    "batch": [Setting(b, changes={"batch_size": b}) for b in (256, 1024, 4096, 16384)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SWEEPS, default=list(SWEEPS))
    parser.add_argument("--system", default="clickwise", help="library[:rule][:precision]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=PEERS_FOLDER)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    options = parser.parse_args()
    print(f"{machine_line()}; {options.threads} threads; DeepFM, {options.system}\n")
    found = {}
    for sweep in options.only:
        outcomes = run(SWEEPS[sweep], options)
        lines = [line(setting, outcome, outcomes[0]) for setting, outcome in zip(SWEEPS[sweep], outcomes, strict=True)]
        print(
            table([sweep, "ms a step", "fastest", "slowest", "us a row", "rows/s", "peak GB", "of first"], lines), "\n"
        )
        found[sweep] = [o.to_data() | {"value": s.value} for s, o in zip(SWEEPS[sweep], outcomes, strict=True)]
    write_results("scaling", {"system": options.system, "threads": options.threads, "sweeps": found})


def run(settings: list[Setting], options: argparse.Namespace) -> list[Outcome]:
    rhythm = Rhythm(turns=options.turns, steps=options.steps, seconds=30.0)
    entries: list[Entry] = []
    for setting in settings:
        threads = setting.changes.get("threads", options.threads)
        systems, sizes = [parse_system(options.system, "fp32")], field_sizes(setting.rows, setting.fields)
        batch_size = setting.changes.get("batch_size", 4096)
        [entry] = entries_for(systems, "deepfm", sizes, rhythm, options.data, threads, batch_size)
        entries.append(replace(entry, task=replace(entry.task, **setting.changes)))
    return race(entries, rhythm, options.peers, lambda text: print(text, file=sys.stderr, flush=True))


def line(setting: Setting, outcome: Outcome, first: Outcome) -> list[str]:
    if outcome.error:
        return [f"{setting.value:,}", *["-"] * 7]
    batch = outcome.entry.task.batch_size
    times = sorted(1e3 * batch / rate for rate in outcome.rates)
    middle = 1e3 * batch / outcome.rate
    relative = middle / (1e3 * first.entry.task.batch_size / first.rate) if first.rates else float("nan")
    shown = [f"{middle:.1f}", f"{times[0]:.1f}", f"{times[-1]:.1f}", f"{1e3 * middle / batch:.2f}"]
    return [
        f"{setting.value:,}",
        *shown,
        f"{outcome.rate:,.0f}",
        f"{outcome.peak_bytes / 1e9:.2f}",
        f"{relative:.2f} x",
    ]


if __name__ == "__main__":
    main()
