"""From a million rows of Criteo-like text to a trained, measured and saved DeepFM: seconds, memory, quality.

    python benchmarks/journey.py                         # clickwise, and the others that are installed
    python benchmarks/journey.py --rows 100000 --systems clickwise

clickwise is `clickwise train` with its preset for Criteo, one epoch, nothing else set and an empty cache. The others go
the way that their documentation shows: pandas, LabelEncoder, MinMaxScaler and `fit` for DeepCTR-Torch; `build_dataset`
with its processor for Criteo, and `fit`, for FuxiCTR. All hold out a tenth of the rows to measure on: clickwise those
that its split takes, the others the last ones. Embedding dimension 16, hidden layers 3 x 400, batch 4096 everywhere.
Encodings are each one's own, so the losses differ for more reasons than the models.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import machine_line, table, write_results
from systems import DATA_FOLDER, PEERS_FOLDER, ROOT

SYSTEMS = ("clickwise", "deepctr_torch", "fuxictr")
STAGES = ("read", "encode", "train", "evaluate", "save")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--set", action="append", default=[], help="path=value for `clickwise train`")
    parser.add_argument("--peers", type=Path, default=PEERS_FOLDER)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    options = parser.parse_args()
    text = options.data / f"criteo_like_{options.rows}.tsv"
    if not text.exists():
        part = text.with_suffix(".part")
        generator = [sys.executable, str(ROOT / "benchmarks" / "criteo_like.py"), str(part)]
        subprocess.run([*generator, "--rows", str(options.rows)], check=True)
        part.rename(text)
    journeys = {}
    for system in options.systems:
        print(f"{system} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="clickwise_journey_") as folder:
            journeys[system] = travel(system, text, Path(folder), options)
    print(f"{machine_line()}; {options.threads} threads")
    print(f"{options.rows:,} rows, {text.stat().st_size / 1e6:.0f} MB of text, to a DeepFM after one epoch\n")
    print(journey_table(journeys))
    about = {"rows_of_text": options.rows, "threads": options.threads, "bytes": text.stat().st_size}
    write_results("journey", {**about, "journeys": journeys})


def travel(system: str, text: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One journey in a process of its own: seconds in all and of its stages, peak memory, quality; or an error."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "CLICKWISE_CACHE": str(folder / "cache")}
    bundle = folder / "bundle"
    if system == "clickwise":
        command = [sys.executable, "-m", "clickwise", "train", str(text), "--format", "criteo", "--out", str(bundle)]
        settings = ["training.epochs=1", f"training.batch_size={options.batch_size}"]
        settings += [f"training.threads={options.threads}", *options.set]
        command += [word for setting in settings for word in ("--set", setting)]
    else:
        python = options.peers / system / "bin" / "python"
        if not python.exists():
            return {"error": "not installed: make peers"}
        for name in ("PYTHONPATH", "GOMP_SPINCOUNT"):  # which `import clickwise` sets, for itself
            environment.pop(name, None)
        script = ROOT / "benchmarks" / "peers" / f"{system}_journey.py"
        command = [str(python), str(script), str(text), str(options.threads), str(options.batch_size), str(folder)]
    log, begin = folder / "log.txt", time.perf_counter()
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder
        )
        assert process.stdout
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status:
        code = os.waitstatus_to_exitcode(status)
        return {"error": f"ended with status {code}: {(log.read_text().strip().splitlines() or [''])[-1]}"}
    told = [line for line in printed.splitlines() if line.startswith("{")]
    found = of_bundle(bundle) if system == "clickwise" else json.loads(told[-1])
    return {"total": seconds, "peak_bytes": usage.ru_maxrss * 1024, **found}


def of_bundle(folder: Path) -> dict[str, Any]:
    """What the manifest says; the stages before and after training are not told apart there."""
    manifest = json.loads((folder / "manifest.json").read_text())
    measured = manifest["metrics"]["valid"]
    stages = {"train": manifest["training"]["seconds"]}
    return {"seconds": stages, "log_loss": measured["log_loss"], "auc": measured["roc_auc"]}


def journey_table(journeys: dict[str, dict[str, Any]]) -> str:
    first = next(iter(journeys.values())).get("total")
    rows = []
    for system, journey in journeys.items():
        if "error" in journey:
            rows.append([system, *["-"] * (len(STAGES) + 6)])
            print(f"no figure: {system}: {journey['error']}")
            continue
        stages = [f"{journey['seconds'][s]:.1f}" if s in journey["seconds"] else "" for s in STAGES]
        rest = journey["total"] - sum(journey["seconds"].values())
        ratio = f"{journey['total'] / first:.2f} x" if first else ""
        quality = [f"{journey['log_loss']:.5f}", f"{journey['auc']:.5f}"]
        total = [f"{rest:.1f}", f"{journey['total']:.1f}", ratio, f"{journey['peak_bytes'] / 1e9:.2f}"]
        rows.append([system, *stages, *total, *quality])
    header = ["system", *(f"{stage} s" for stage in STAGES), "other s", "total s", "of first", "peak GB"]
    return table([*header, "log loss", "AUC"], rows)


if __name__ == "__main__":
    main()
