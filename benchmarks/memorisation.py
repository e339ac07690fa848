"""What a wide part and what a factorisation machine add: log loss over that of the truth, by kind of row.

    python benchmarks/memorisation.py                      # eight worlds, five models: five minutes on one core
    python benchmarks/memorisation.py --worlds 2 --rows 100000

Each world is a simulated ad exchange (`clickwise.data.simulator`): one day to train on, rows of the next to measure on.
Its log-odds hold main effects, products of latent vectors, and, for one in twenty of all pairs of a segment and a
campaign and of a site and a campaign, an effect of the pair's own, which can only be learned by heart. Two claims:

1. Wide & Deep with those two crosses declared is better than its deep part alone (`dnn`, same sizes) where a row has
   such a pair and training has seen it.
2. DeepFM, told of no cross, is better than logistic regression on all rows: it finds the products.

Slices: rows whose pairs were each in at least `--seen` training rows, rows with a rarer one, rows without any, all.
Excess is the log loss less that of the true probabilities on the same rows. Figures are means over the worlds; the last
column is the difference in excess to the model named beside it, in the same world, with a 95 % interval over worlds.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.data.simulator import SimulatorConfig, simulate
from clickwise.data.simulator.impressions import Impressions, draw, times
from clickwise.data.simulator.truth import planted_pairs
from clickwise.data.simulator.world import World
from clickwise.evaluation import EvaluationReport
from clickwise.pipeline import evaluate, train
from clickwise.progress import Progress
from report import machine_line, table, write_results

CROSSES = {
    "segment_x_campaign": {"transform": "cross", "of": ["user_segment", "campaign_id"]},
    "site_x_campaign": {"transform": "cross", "of": ["site_id", "campaign_id"]},
}
ADAGRAD = {"name": "adagrad", "learning_rate": 0.03}
WIDE = {"parameters": "wide.*", "optimizer": {"name": "ftrl", "learning_rate": 0.05, "l1": 1e-4}}
DEEP = {"embedding_dim": 16, "hidden_dims": [128, 64]}
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's t that is exceeded 2.5 times in 100, by the number of worlds."""


@dataclass(frozen=True)
class Contender:
    """A model, the crosses it is told of, how it is trained, and whom it is compared with."""

    model: dict[str, Any]
    against: str = ""
    crosses: dict[str, Any] = field(default_factory=dict)
    groups: tuple[dict[str, Any], ...] = ()


CONTENDERS = {
    "lr": Contender({"name": "lr"}),
    "deepfm": Contender({"name": "deepfm", **DEEP}, against="lr"),
    "dnn": Contender({"name": "dnn", **DEEP}),
    "wide_deep": Contender({"name": "wide_deep", **DEEP}, against="dnn", groups=(WIDE,)),
    "wide_deep + crosses": Contender({"name": "wide_deep", **DEEP}, against="dnn", crosses=CROSSES, groups=(WIDE,)),
}
WORLD = {"num_sites": 100, "num_campaigns": 100}
"""Fewer than by default, so that a day of this size shows the common pairs often enough to learn them."""
SLICES = ("pairs seen", "a pair rare", "no pair", "all")


def main() -> None:
    options = parse()
    found: dict[str, list[dict[str, EvaluationReport]]] = {name: [] for name in CONTENDERS}
    for seed in range(1, options.worlds + 1):
        day = SimulatorConfig(rows=options.rows, seed=seed, click_rate=options.click_rate, **WORLD)
        training, tests = pa.Table.from_batches(simulate(day)), test_slices(day, options.test_rows, options.seen)
        for name, contender in CONTENDERS.items():
            found[name].append(measure(contender, training, tests, seed, options.threads))
            excess = "  ".join(f"{part} {excess_of(report):.5f}" for part, report in found[name][-1].items())
            print(f"world {seed}, {time.process_time():,.0f} s, {name}: {excess}", file=sys.stderr, flush=True)
    print(f"{machine_line()}; {options.threads} threads")
    print(f"{options.worlds} worlds, {options.rows:,} rows to train on, {options.test_rows:,} to measure on\n")
    print(slices_table(found))
    reports = {name: [{part: r.to_data() for part, r in run.items()} for run in runs] for name, runs in found.items()}
    about = {key: getattr(options, key) for key in ("worlds", "rows", "test_rows", "click_rate", "seen", "threads")}
    write_results("memorisation", {**about, "world": WORLD, "reports": reports})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, choices=T95, default=8, help="seeds 1 to this, of world and training")
    parser.add_argument("--rows", type=int, default=300_000, help="of the training day; its last tenth stops training")
    parser.add_argument("--test-rows", type=int, default=200_000, help="of the next day")
    parser.add_argument("--click-rate", type=float, default=0.2, help="mean probability of a click")
    parser.add_argument("--seen", type=int, default=100, help="training rows from which on a pair is not rare")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def test_slices(day: SimulatorConfig, rows: int, least: int) -> dict[str, pa.Table]:
    """Rows of the next day by slice: whether their planted pairs were in `least` rows of the training day."""
    world, next_day = World(day), replace(day, rows=rows, start_day=day.start_day + 1)
    before, seen = impressions(world, day), impressions(world, next_day)
    planted, rare = np.zeros(rows, bool), np.zeros(rows, bool)
    for name, sign in planted_pairs(world, seen).items():
        left_before, left = getattr(before, name), getattr(seen, name)
        counts = np.bincount(
            left_before * day.num_campaigns + before.campaign, minlength=(left.max() + 1) * day.num_campaigns
        )
        planted |= sign != 0
        rare |= (sign != 0) & (counts[left * day.num_campaigns + seen.campaign] < least)
    log = pa.Table.from_batches(simulate(next_day))
    masks = (planted & ~rare, rare, ~planted, np.ones(rows, bool))
    return {part: log.filter(pa.array(mask)) for part, mask in zip(SLICES, masks, strict=True)}


def impressions(world: World, day: SimulatorConfig) -> Impressions:
    """Those behind the rows of the log."""
    row = np.arange(day.rows)
    return draw(world, day.start_day, row, times(world, day.start_day, row, day.rows, float(day.start_day), day.days))


def measure(
    contender: Contender, training: pa.Table, tests: dict[str, pa.Table], seed: int, threads: int
) -> dict[str, EvaluationReport]:
    """Train on the day and measure on each slice of the next."""
    schema = {"label": "click", "time": "timestamp", "truth": "true_probability", "features": contender.crosses}
    rules = {"optimizer": ADAGRAD, "groups": list(contender.groups)}
    settings = {"epochs": 6, "patience": 1, "batch_size": 1024, "seed": seed, "threads": threads, **rules}
    config = {"schema": schema, "model": contender.model, "training": settings}
    bundle = train(training, config=config, progress=Progress())
    return {part: evaluate(bundle, rows, progress=Progress()) for part, rows in tests.items()}


def excess_of(report: EvaluationReport) -> float:
    """How much more the log loss is than that of the true probabilities."""
    assert report.best_possible is not None
    return report.metrics["log_loss"] - report.best_possible["log_loss"]


def slices_table(found: dict[str, list[dict[str, EvaluationReport]]]) -> str:
    """A row for each slice and model."""
    rows = []
    for part in SLICES:
        for i, (name, runs) in enumerate(found.items()):
            reports = [run[part] for run in runs]
            count = f"{statistics.mean(r.rows for r in reports):,.0f}"
            means = (statistics.mean(r.metrics[metric] for r in reports) for metric in ("log_loss", "roc_auc"))
            figures = [*(f"{mean:.4f}" for mean in means), f"{statistics.mean(map(excess_of, reports)):.4f}"]
            against = CONTENDERS[name].against
            gain = difference(reports, [run[part] for run in found[against]]) + f" {against}" if against else ""
            rows.append([part if i == 0 else "", count if i == 0 else "", name, *figures, gain])
    return table(["slice", "rows", "model", "log loss", "AUC", "excess", "excess less that of"], rows)


def difference(reports: Sequence[EvaluationReport], others: Sequence[EvaluationReport]) -> str:
    """The mean difference in excess over the worlds, with its 95 % interval."""
    values = [excess_of(a) - excess_of(b) for a, b in zip(reports, others, strict=True)]
    half = T95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):+.4f} ± {half:.4f}"


if __name__ == "__main__":
    main()
