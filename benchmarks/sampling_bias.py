"""What the correction of sampling bias (logQ) does: two towers trained with and without it, on simulated clicks.

    python benchmarks/sampling_bias.py          # minutes
    python benchmarks/sampling_bias.py --short

In a batch the other queries' items are the candidates, so that an item is one as often as it is popular, and a model
that does not know this learns to score popular items too low. On the world of `catalogue_world.py` (20,000 ads unless
told otherwise) the same towers are trained with every seed in three ways, and measured on tomorrow's clicks among all
of tomorrow's and today's ads, by `clickwise evaluate`: what today's log shows to a user is left out.

`bias` is that of the model's own distribution over all ads, P = softmax(score / tau): the mean of ln popularity under
P, less that of the ads that were clicked; 0 is as popular as what people clicked, below 0 too unpopular. A list of
twenty holds the most likely ads, which are popular ones wherever P is right: `list` is its `popularity_bias`. Figures
are means over the seeds, ± half a 95 % interval of the seeds; the last line is paired by seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from scipy.stats import t as student

import clickwise as cw
from catalogue_world import SHORT, CatalogueWorld, add_flags, build, sizes_of
from clickwise.bundle import Bundle, Towers
from clickwise.pipeline import evaluate_retrieval
from report import machine_line, table, write_results

ROOT = Path(__file__).resolve().parents[1]
K = 20
MOST_CLICKS = 2_000
WAYS = {
    "in the batch, not corrected": ["training.retrieval.correct_sampling=false"],
    "in the batch, logQ": [],
    "and 1,000 uniform, logQ": ["training.retrieval.uniform_negatives=1000"],
}
FIGURES = {
    "recall": f"recall_at_{K}",
    "ndcg": f"ndcg_at_{K}",
    "list": f"popularity_bias_at_{K}",
    "coverage": f"coverage_at_{K}",
}
SHOWN = ("recall", "ndcg", "bias", "list", "coverage")


def measured(world: CatalogueWorld, settings: list[str]) -> dict[str, float]:
    """The figures of towers trained like this."""
    recipe = ROOT / "recipes" / "simulated_towers.toml"
    towers = cw.train(world.log, config=recipe, settings=["data.valid_fraction=0.0", *settings])
    report = evaluate_retrieval(towers, world.next_log, seen=world.log, items=world.catalogue, ks=(K,))
    return {"bias": bias(towers, world), **{name: report.metrics[key] for name, key in FIGURES.items()}}


def bias(bundle: Bundle, world: CatalogueWorld) -> float:
    """Mean ln popularity under the model's distribution, less that of what was clicked; no click counts as one."""
    towers = Towers(bundle)
    ads = pq.read_table(world.catalogue).combine_chunks()
    clicks, log = (pq.read_table(path, filters=[("click", "=", 1)]) for path in (world.next_log, world.log))
    clicks = clicks.slice(0, MOST_CLICKS).combine_chunks()
    row = pc.index_in(log["ad_id"], value_set=ads["ad_id"]).drop_null().to_numpy()
    popularity = np.log(np.maximum(np.bincount(row, minlength=len(ads)), 1))
    items = torch.from_numpy(towers.items(ads.to_batches()[0]))
    found = []
    for batch in clicks.to_batches(500):
        with torch.inference_mode():
            score = bundle.model.scaled(torch.from_numpy(towers.queries(batch)) @ items.t())
            found.append((torch.softmax(score, 1).numpy() @ popularity).mean())
    chosen = pc.index_in(clicks["ad_id"], value_set=ads["ad_id"]).drop_null().to_numpy()
    return float(np.mean(found) - popularity[chosen].mean())


def mean_and_half_interval(values: np.ndarray) -> tuple[float, float]:
    """Over the seeds."""
    if len(values) < 2:
        return float(values.mean()), float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(student.ppf(0.975, len(values) - 1) * error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_flags(parser, SHORT)
    parser.set_defaults(ads=20_000, rows=1_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], help="settings of the towers, such as training.epochs=3")
    options = parser.parse_args()
    if options.short:
        options.ads, options.rows, options.seeds = SHORT.ads, SHORT.rows, 2
    world = build(sizes_of(options), options.worlds)
    short = ["training.epochs=1", "training.batch_size=256"] if options.short else []
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in range(1, options.seeds + 1):
        for way, told in WAYS.items():
            settings = [f"training.seed={seed}", f"training.threads={options.threads}", *short, *told, *options.set]
            found[way].append(measured(world, settings))
    values = {way: {name: np.array([run[name] for run in runs]) for name in SHOWN} for way, runs in found.items()}
    rows = []
    for way, figures in values.items():
        rows.append([way, *("{:.4f} ± {:.4f}".format(*mean_and_half_interval(figures[name])) for name in SHOWN)])
    first, second, *_ = WAYS
    less = {name: values[second][name] - values[first][name] for name in SHOWN}
    rows.append(["logQ adds", *("{:+.4f} ± {:.4f}".format(*mean_and_half_interval(less[name])) for name in SHOWN)])
    print(f"{machine_line()}\n{world.sizes.ads:,} ads, {world.sizes.rows:,} impressions, {options.seeds} seeds\n")
    print(table(["candidates", *SHOWN], rows))
    if not options.short:
        write_results("sampling-bias", {"seeds": options.seeds, "ads": world.sizes.ads, "runs": found})


if __name__ == "__main__":
    main()
