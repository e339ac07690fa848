"""The cascade on a million ads whose true click probabilities are known: what it is worth, and what it takes.

    python benchmarks/cascade.py          # minutes
    python benchmarks/cascade.py --short

On the world of `catalogue_world.py`: towers and a ranking model are trained on today's log by `clickwise.train`, and
the recommender is built of tomorrow's ads. Each of tomorrow's requests gets a list of ten ads by each way:

    cascade      retrieve `--candidates`, rank them by the model
    retrieval    the ten of the highest score, in that order
    random       as many random ads as candidates, ranked by the same model
    popular      the ten that were shown most, for everyone

`clicks` is the mean true probability of a click on the ads of the list, `of the best` its share of that of the truly
best ten, and the difference to the cascade is paired by request, with its 95 % interval. Time is that of
`Recommender.recommend` of one raw request, in Python, one request at a time, on one thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

import clickwise as cw
from catalogue_world import CatalogueWorld, add_flags, build, rough_lists, sizes_of
from clickwise.data.simulator import ad_numbers
from clickwise.native import set_threads
from clickwise.pipeline import build_recommender, is_recommender, load_recommender
from clickwise.retrieval.recommender import Recommender
from report import machine_line, table, write_results

ROOT = Path(__file__).resolve().parents[1]
K = 10
Z95 = 1.96
TIMED = 500


def made(world: CatalogueWorld, options: argparse.Namespace) -> Recommender:
    """The recommender of tomorrow's ads, by models of today's log; the one in `--keep`, if it is there."""
    if options.keep is not None and is_recommender(options.keep):
        return load_recommender(options.keep)
    threads = [f"training.threads={options.threads}"]
    short = ["training.epochs=1", "training.batch_size=256"] if options.short else []
    recipe = ROOT / "recipes" / "simulated_towers.toml"
    towers = cw.train(world.log, config=recipe, settings=[*threads, *short, *options.towers])
    ranker_schema = {"infer": True, "time": "timestamp", "exclude": ["true_probability", "user_id", "bid_floor"]}
    ranker = cw.train(
        world.log,
        label="click",
        model="deepfm",
        schema=ranker_schema,
        settings=["model.hidden_dims=[128, 64]", "training.epochs=2", *threads, *short, *options.ranker],
    )
    told = [f"recommender.candidates={options.candidates}", "recommender.constants.position=1"]
    return build_recommender(towers, world.catalogue, options.keep, ranker=ranker, queries=world.log, settings=told)


def lists_of(recommender: Recommender, world: CatalogueWorld, candidates: int) -> dict[str, np.ndarray]:
    """Numbers of ads [Q, K] by each way."""
    requests = recommender.batch(pq.read_table(world.requests))
    number = ad_numbers(pq.read_table(world.catalogue, columns=["ad_id"])["ad_id"])  # of each row of the index
    alone = replace(recommender, ranker=None)
    count, ranker = requests.num_rows, recommender.ranker
    assert ranker is not None
    found = {"cascade": [], "retrieval": [], "random": []}
    random = np.random.default_rng(1)
    for start in range(0, count, 100):
        few = requests.slice(start, 100)
        found["cascade"].append(number[recommender.rank(few, K).rows])
        found["retrieval"].append(number[alone.rank(few, K).rows])
        rows = random.integers(0, len(number), (few.num_rows, candidates))
        which = np.repeat(np.arange(few.num_rows), candidates)
        prob = ranker.probabilities(few, which, rows.ravel()).reshape(rows.shape)
        best = np.argsort(-prob, axis=1)[:, :K]
        found["random"].append(number[np.take_along_axis(rows, best, 1)])
    lists = {name: np.concatenate(parts) for name, parts in found.items()}
    popular = rough_lists(world, K)["most shown"]
    return {**lists, "popular": np.broadcast_to(popular, (count, len(popular)))}


def milliseconds(recommender: Recommender, world: CatalogueWorld) -> np.ndarray:
    """Of each of some requests."""
    rows = pq.read_table(world.requests).slice(0, TIMED).to_pylist()
    torch.set_num_threads(1)
    set_threads(1)
    for row in rows[:20]:
        recommender.recommend([row], K)
    taken = []
    for row in rows:
        began = time.perf_counter()
        recommender.recommend([row], K)
        taken.append(1e3 * (time.perf_counter() - began))
    return np.array(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_flags(parser)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2, help="of training")
    parser.add_argument("--towers", nargs="*", default=[], help="settings of the towers, such as training.epochs=3")
    parser.add_argument("--ranker", nargs="*", default=[], help="settings of the ranking model")
    parser.add_argument("--keep", type=Path, help="folder to keep the recommender in, and to take it from")
    options = parser.parse_args()
    world = build(sizes_of(options), options.worlds)
    recommender = made(world, options)
    lists = lists_of(recommender, world, options.candidates)
    value = {name: world.probability(ads).mean(axis=1) for name, ads in lists.items()}
    share = {name: world.value_of(ads) for name, ads in lists.items()}
    rows, results = [], {}
    for name, mine in value.items():
        less = value["cascade"] - mine
        error = Z95 * less.std(ddof=1) / np.sqrt(len(less))
        difference = "" if name == "cascade" else f"{less.mean():+.4f} ± {error:.4f}"
        rows.append([name, f"{mine.mean():.4f}", f"{share[name].mean():.3f}", difference])
        results[name] = {"clicks": mine.mean(), "share": share[name].mean(), "less": less.mean(), "error": error}
    measured = recommender.items.measured
    taken = milliseconds(recommender, world)
    times = {"median_ms": float(np.median(taken)), "p90_ms": float(np.quantile(taken, 0.9))}
    times["p99_ms"] = float(np.quantile(taken, 0.99))
    print(f"{machine_line()}\n{len(recommender.items):,} ads, {len(taken):,} requests, lists of {K}\n")
    print(table([f"{K} ads by", "clicks", "of the best", "cascade less this"], rows))
    index = f"recall of the best {measured.k} {measured.recall:.3f}, {measured.median_ms:.2f} ms a query"
    print(f"\nindex: {recommender.items.kind}, {index}")
    print(
        f"a request, {options.candidates} candidates: median {times['median_ms']:.2f} ms, "
        f"90 % {times['p90_ms']:.2f} ms, 99 % {times['p99_ms']:.2f} ms"
    )
    if not options.short:
        said: dict[str, Any] = {"lists": results, "index": index, "candidates": options.candidates}
        write_results("cascade", {**said, **times})


if __name__ == "__main__":
    main()
