"""Does precision, or a compiled kernel, cost accuracy? Test log loss over several seeds, by three paths:
torch, compiled kernels in fp32, compiled kernels in bf16.

    P=".venv/bin/python benchmarks/precision.py --out build/precision"
    $P simulated --rows 300000
    $P --models deepfm --config recipes/frappe_x1_deepfm.toml files {train,valid,test}.parquet --label label

Every run is `clickwise train` in a process of its own, with the same data, settings and early stopping on the
validation part; the test part is scored once, in fp32. The table shows mean and standard deviation over the seeds, and
for each path how far its mean lies from the torch reference, in standard errors of that difference: within 2 is noise.
Started again with the same folder, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

PATHS = {
    "torch, fp32": {"CLICKWISE_KERNELS": "torch", "precision": "fp32"},
    "compiled, fp32": {"CLICKWISE_KERNELS": "dense", "precision": "fp32"},
    "compiled, bf16": {"CLICKWISE_KERNELS": "dense", "precision": "bf16"},
}


def clickwise(arguments: list[str], tier: str) -> Any:
    """What a verb prints with --json."""
    command = [sys.executable, "-m", "clickwise", *arguments, "--json"]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "CLICKWISE_KERNELS": tier}
    )
    return json.loads(done.stdout)


def run(parts: dict[str, str], model: str, path: str, seed: int, told: list[str], out: Path) -> dict[str, float]:
    folder = out / f"{model}-{path.replace(', ', '-')}-{seed}"
    tier, precision = PATHS[path]["CLICKWISE_KERNELS"], PATHS[path]["precision"]
    own = [f"model.name={model}", f"training.seed={seed}", f"training.precision={precision}"]
    sets = [piece for setting in own for piece in ("--set", setting)]
    valid = ["--valid", parts["valid"]] if "valid" in parts else []
    if not (folder / "manifest.json").exists():  # it was stopped after this one
        clickwise(["train", parts["train"], *valid, "--out", str(folder), *told, *sets], tier)
    measured = clickwise(["evaluate", str(folder), parts["test"]], tier)["metrics"]
    seconds = json.loads((folder / "manifest.json").read_text())["training"]["seconds"]
    return {"log_loss": measured["log_loss"], "roc_auc": measured["roc_auc"], "seconds": seconds}


def table(results: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    lines = [f"{'model':10} {'path':15} {'test log loss':>20} {'test AUC':>20} {'from torch':>11} {'seconds':>8}"]
    for (model, path), runs in results.items():
        loss, auc = ([r[key] for r in runs] for key in ("log_loss", "roc_auc"))
        reference = [r["log_loss"] for r in results[model, next(iter(PATHS))]]
        spread = (statistics.variance(loss) / len(loss) + statistics.variance(reference) / len(reference)) ** 0.5
        away = (statistics.mean(loss) - statistics.mean(reference)) / spread if spread else 0.0
        shown = [f"{statistics.mean(v):.5f} ± {statistics.stdev(v):.5f}" for v in (loss, auc)]
        seconds = statistics.median(r["seconds"] for r in runs)
        lines.append(f"{model:10} {path:15} {shown[0]:>20} {shown[1]:>20} {away:+11.1f} {seconds:8.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for data, bundles and the result")
    parser.add_argument("--models", default="deepfm,wide_deep,dcn_v2")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--config", help="settings of every run, a TOML file")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="as for `clickwise train`")
    kinds = parser.add_subparsers(dest="kind", required=True)
    simulated = kinds.add_parser("simulated", help="one simulated day to train on, the next to test on")
    simulated.add_argument("--rows", type=int, default=300_000)
    files = kinds.add_parser("files", help="files of your own")
    for name in ("train", "valid", "test"):
        files.add_argument(name)
    files.add_argument("--label", required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.kind == "simulated":
        parts, label = {}, "click"
        for day, part in enumerate(("train", "test")):
            parts[part] = str(options.out / f"{part}-{options.rows}.parquet")
            command = ["simulate", parts[part], "--rows", str(options.rows), "--day", str(day)]
            subprocess.run([sys.executable, "-m", "clickwise", *command], check=True, capture_output=True)
    else:
        parts, label = {name: getattr(options, name) for name in ("train", "valid", "test")}, options.label
    told = ["--label", label, *(["--config", options.config] if options.config else [])]
    told += [piece for setting in options.settings for piece in ("--set", setting)]
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in range(1, options.seeds + 1):  # seeds outside, so that a busy machine slows all paths alike
        for model in options.models.split(","):
            for path in PATHS:
                result = run(parts, model, path, seed, told, options.out)
                results.setdefault((model, path), []).append(result)
                print(
                    f"seed {seed}: {model}, {path}: {result['log_loss']:.5f}, {result['seconds']:.0f} s",
                    file=sys.stderr,
                )
    print(table(dict(sorted(results.items(), key=lambda item: options.models.index(item[0][0])))))


if __name__ == "__main__":
    main()
