"""How good are the models? Recipes over several seeds, measured on the test file, beside published figures.

    python benchmarks/accuracy.py --data DATA/frappe_x1 --models deepfm dcn_v2 --seeds 5
    python benchmarks/accuracy.py --data DATA/adult --train adult.data --valid '' --test adult.test --models wide_deep

DATA/NAME holds train.parquet, valid.parquet and test.parquet, or the files named; without a validation file the recipe
holds rows of the training file out. The recipe of a model is recipes/NAME_MODEL.toml. Every run is `clickwise train` in
a process of its own, which stops early on the validation rows and never sees the test file; that is measured once a
run, after it. A run whose result is in `--out`, by the same recipe on the same data, is not made again. The table shows
mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickwise.atomic import whole_file
from report import machine_line, table, write_results

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = Path(__file__).parent / "published.toml"
METRICS = {"roc_auc": "AUC", "log_loss": "log loss"}


class RunFailed(Exception):
    """A run that gave no figures."""


@dataclass(frozen=True)
class Run:
    """One recipe on one data set with one seed. valid: None where the recipe holds rows out."""

    train: Path
    valid: Path | None
    test: Path
    model: str
    recipe: Path
    seed: int
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.model}-{self.seed}"

    def asked(self) -> dict[str, Any]:
        """What its result depends on: another recipe, other settings or other files make another result."""
        files = {path.name: path.stat().st_size for path in (self.train, self.valid, self.test) if path}
        digest = hashlib.sha256(self.recipe.read_bytes()).hexdigest()
        return {"model": self.model, "seed": self.seed, "recipe": digest, "set": list(self.settings), "files": files}


def clickwise(*arguments: object) -> Any:
    """What a verb prints with --json.

    Raises:
        RunFailed: it did not end well; with the last line it said.
    """
    command = [sys.executable, "-m", "clickwise", *map(str, arguments), "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RunFailed((done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1])
    return json.loads(done.stdout)


def result_of(run: Run, out: Path, threads: int | None) -> dict[str, Any]:
    """The result of a run: the one that lies in `out`, else that of running it now."""
    path, asked = out / f"{run.name}.json", run.asked()
    if path.exists() and (known := json.loads(path.read_text()))["asked"] == asked:
        return known
    bundle = out / run.name
    told = [*run.settings, f"training.seed={run.seed}", *([f"training.threads={threads}"] if threads else [])]
    sets = [piece for setting in told for piece in ("--set", setting)]
    valid = ["--valid", run.valid] if run.valid else []
    trained = clickwise("train", run.train, *valid, "--config", run.recipe, "--out", bundle, *sets)
    if trained["training"]["interrupted"]:
        raise RunFailed("was interrupted; the same call goes on")
    measured = clickwise("evaluate", bundle, run.test)["metrics"]
    shutil.rmtree(bundle)
    training = {key: trained["training"][key] for key in ("seconds", "best_epoch", "precision", "parameters")}
    result = {"asked": asked, "test": measured, "valid": trained["metrics"]["valid"], **training}
    with whole_file(path) as file:
        file.write_text(json.dumps(result, indent=1) + "\n")
    return result


def run_all(runs: Sequence[Run], out: Path, jobs: int) -> dict[str, list[dict[str, Any]]]:
    """Results by model, in order of the seeds; a run that fails is named and left out."""
    threads = max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None
    done: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(result_of, run, out, threads): run for run in runs}
        try:
            for future in as_completed(waiting):
                run = waiting[future]
                try:
                    done[run.name] = future.result()
                except RunFailed as failure:
                    say(f"{run.name}: {failure}")
                else:
                    test = done[run.name]["test"]
                    say(f"{run.name}: AUC {test['roc_auc']:.5f}, log loss {test['log_loss']:.5f}")
        finally:
            pool.shutdown(cancel_futures=True)
    results: dict[str, list[dict[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        if run.name in done:
            results.setdefault(run.model, []).append(done[run.name])
    return results


def results_table(results: dict[str, list[dict[str, Any]]], published: dict[str, Any]) -> str:
    """A row a model: ours, the mean of five published runs, and the published best run, by AUC and by log loss."""
    header = ["model", "runs"]
    header += [column for shown in METRICS.values() for column in (f"test {shown}", "published mean", "best")]
    rows = []
    for model, runs in results.items():
        cells = [model, str(len(runs))]
        for metric in METRICS:
            cells.append(spread([run["test"][metric] for run in runs]))
            figures = published.get(model, {})
            cells += [number(figures.get(kind, {}).get(metric)) for kind in ("average", "best")]
        rows.append([*cells, f"{statistics.median(run['seconds'] for run in runs):.0f}"])
    return table([*header, "seconds a run"], rows)


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds."""
    deviation = f" ± {statistics.stdev(values):.5f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.5f}{deviation}"


def number(value: float | None) -> str:
    """A published figure, with the digits it has."""
    return "" if value is None else f"{value:.5f}".rstrip("0")


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files")
    parser.add_argument("--train", default="train.parquet")
    parser.add_argument("--valid", default="valid.parquet", help="'' where the recipe holds rows of --train out")
    parser.add_argument("--test", default="test.parquet")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 1 to this")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, which share the processors")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "accuracy", help="folder for the results of runs")
    parser.add_argument("--recipes", type=Path, default=ROOT / "recipes")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="as for `clickwise train`")
    options = parser.parse_args()
    name = options.data.resolve().name
    recipes = {model: options.recipes / f"{name}_{model}.toml" for model in options.models}
    train, test = options.data / options.train, options.data / options.test
    valid = options.data / options.valid if options.valid else None
    for path in filter(None, [*recipes.values(), train, valid, test]):
        if not path.is_file():
            parser.error(f"{path}: no such file")
    runs = [
        Run(train, valid, test, model, recipe, seed, tuple(options.settings))
        for seed in range(1, options.seeds + 1)
        for model, recipe in recipes.items()
    ]
    results = run_all(runs, options.out / name, options.jobs)
    results = {model: results[model] for model in options.models if model in results}
    published = tomllib.loads(PUBLISHED.read_text()).get(name, {})
    if results:
        print(f"{machine_line()}\n\n{results_table(results, published.get('models', {}))}\n")
        print(published.get("note", f"no published figures for {name}"))
        if published:
            print(f"Published: {published['source']}.")
        write_results(f"accuracy-{name.replace('_', '-')}", {"published": published, "runs": results})
    if sum(map(len, results.values())) < len(runs):
        sys.exit("some runs gave no figures; the same call makes them again")


if __name__ == "__main__":
    main()
