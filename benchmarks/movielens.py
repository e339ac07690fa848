"""MovieLens 100K, the last three tenths by time: two towers with side features, matrix factorisation, popularity.

    python benchmarks/movielens.py DATA/ml-100k
    python benchmarks/movielens.py DATA/ml-100k --known    # users with earlier ratings alone

The ratings are cut by time: the last three tenths are to be found, the rest trains, of which the last tenth stops it.
Ratings from four stars on count. Every film of the earlier ratings can be found; those that a user rated with four or
more before are left out. The towers are those of recipes/movielens_100k_two_tower.toml, matrix factorisation that of
recipes/movielens_100k_mf.toml. Differences are paired by user, ± half a 95 % interval.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import clickwise as cw
from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.evaluation.retrieval import Comparison, Measured
from clickwise.pipeline import evaluate_retrieval
from report import machine_line, table, write_results

ROOT = Path(__file__).resolve().parents[1]
K = 20
METRICS = ("recall", "ndcg", "hit_rate", "mrr")
HELD_OUT = 0.3
Z95 = 1.96


def cut(folder: Path, known: bool = False) -> tuple[pa.Table, pa.Table]:
    """The ratings before the last three tenths by time, and those; `known`: of users who have earlier ones."""
    source = open_source(folder / "ml-100k.inter", DataConfig(format="typed_tsv"))
    ratings = pa.Table.from_batches([block.data for block in source.blocks()])
    last = pc.quantile(ratings.column("timestamp"), 1.0 - HELD_OUT)[0]
    late = pc.greater_equal(ratings.column("timestamp"), last)
    early, late = ratings.filter(pc.invert(late)), ratings.filter(late)
    return early, late.filter(pc.is_in(late["user_id"], pc.unique(early["user_id"]))) if known else late


def recipe(name: str, folder: Path) -> dict[str, Any]:
    """A recipe for rows in memory, whose side tables lie in `folder`."""
    found = tomllib.loads((ROOT / "recipes" / f"movielens_100k_{name}.toml").read_text(encoding="utf-8"))
    tables = [{**side, "file": str(folder.resolve() / side["file"])} for side in found["data"].get("tables", [])]
    return {**found, "data": {"tables": tables}}


def measured(name: str, folder: Path, parts: tuple[pa.Table, pa.Table], settings: list[str]) -> Mapping[str, Measured]:
    """A recipe's model, and popularity."""
    towers = cw.train(parts[0], config=recipe(name, folder), settings=settings)
    report = evaluate_retrieval(towers, parts[1], seen=parts[0], ks=(K,))
    return report.systems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="DATA/ml-100k")
    parser.add_argument("--known", action="store_true", help="only users with earlier ratings")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], help="settings of both models")
    options = parser.parse_args()
    parts = cut(options.folder, options.known)
    rows, results = [], []
    for seed in range(1, options.seeds + 1):
        told = [f"training.seed={seed}", *options.set]
        towers = measured("two_tower", options.folder, parts, told)
        factors = measured("mf", options.folder, parts, told)
        systems = {"towers": towers["two_tower"], "mf": factors["two_tower"], "popularity": factors["popularity"]}
        figures = {name: system.figures() for name, system in systems.items()}
        for metric in METRICS:
            key = f"{metric}_at_{K}"
            cells = [f"{figures[name][key].value:.4f}" for name in systems]
            for other in ("mf", "popularity"):
                less = Comparison((other, "towers"), systems[other], systems["towers"]).differences()[key]
                cells.append(f"{less.value:+.4f} ± {Z95 * less.stderr:.4f}")
                results.append({"seed": seed, "metric": key, "less": other, "value": less.value, "stderr": less.stderr})
            rows.append([str(seed), key, *cells])
    print(f"{machine_line()}\n{parts[0].num_rows:,} ratings to train on, {parts[1].num_rows:,} held out\n")
    print(table(["seed", "metric", "towers", "mf", "popularity", "towers less mf", "less popularity"], rows, left=2))
    write_results("movielens", {"seeds": options.seeds, "known": options.known, "differences": results})


if __name__ == "__main__":
    main()
