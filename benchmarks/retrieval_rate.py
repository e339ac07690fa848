"""Training rate of two towers, of clickwise and of others, side by side in one run on one machine.

    python benchmarks/retrieval_rate.py --short                    # half a minute, 20,000 items, no other library
    python benchmarks/make_peers.py --only torch_rechub && python benchmarks/retrieval_rate.py   # 100 k and 1 M items

Data: a simulated log of positives (`two_tower_log.py`): a million users and a Zipf catalogue, four fields on each side.
Model: embedding dimension 16, a tower 128-64 on each side, batch 4096, negatives from the batch. Systems take turns as
in `training_rate.py`. After the same number of steps each gives its vectors of held-out queries and of every item, and
the same exact search tells for how many queries the held-out item is among the best 100: `recall`. Beside it stand what
the law of the log would reach, and the most popular items for everyone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from peers.protocol import Task
from report import machine_line, table, write_results
from systems import DATA_FOLDER, PEERS_FOLDER, Entry, Outcome, Rhythm, parse_system, race
from training_rate import notes
from two_tower_log import ITEM_FIELDS, reachable, write_arrays

USERS, SIZES = 1_000_000, (100_000, 1_000_000)
EMBEDDING_DIM, HIDDEN_DIMS, TEST_ROWS, K = 16, [128, 64], 4_000, 100
SYSTEMS = ["clickwise", "torch_sparse", "torch_rechub"]
QUERIES_AT_ONCE = 64


def main() -> None:
    options = parse()
    rhythm = Rhythm(turns=options.turns, steps=options.steps, seconds=options.seconds, warm=options.warm)
    outcomes: list[Outcome] = []
    bounds: dict[int, dict[str, float]] = {}
    for items in options.items:
        say(f"{items:,} items")
        entries = entries_for(options, items, rhythm)
        bounds[items] = reachable(Path(entries[0].task.data), K)
        outcomes += race(entries, rhythm, options.peers, say, recall_of)
    print(f"{machine_line()}; {options.threads} threads")
    print(f"{options.users:,} users, D = {EMBEDDING_DIM}, towers {HIDDEN_DIMS}, batch {options.batch_size}; ", end="")
    print(f"{options.turns} turns of {options.steps} steps each after {rhythm.warm} that are not counted\n")
    print(outcome_table(outcomes))
    for items, found in bounds.items():
        print(f"  recall@{K} of {items:,} items: " + ", ".join(f"{who} {value:.4f}" for who, value in found.items()))
    print(notes(outcomes))
    if not options.short:
        about = {"threads": options.threads, "turns": options.turns, "steps": options.steps, "users": options.users}
        rows = [{"items": items_of(outcome), **outcome.to_data()} for outcome in outcomes]
        write_results("retrieval-rate", {**about, "k": K, "reachable": bounds, "rows": rows})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", nargs="+", type=int, default=list(SIZES), metavar="C", help="of the catalogue")
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", default=SYSTEMS, help="library[:precision]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--steps", type=int, default=6, help="counted steps of a turn")
    parser.add_argument("--warm", type=int, default=4, help="steps of a turn before them")
    parser.add_argument("--seconds", type=float, default=60.0, help="a slower turn has one counted step only")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers", type=Path, default=PEERS_FOLDER, help="folder of the environments")
    parser.add_argument("--data", type=Path, default=DATA_FOLDER, help="folder of the simulated rows")
    parser.add_argument("--short", action="store_true", help="20,000 items beside torch; writes no results")
    options = parser.parse_args()
    if options.short:
        options.items, options.users, options.turns, options.steps = [20_000], 20_000, 4, 4
        options.systems = ["clickwise", "torch_sparse"]
    try:
        options.systems = list(dict.fromkeys(parse_system(s, "fp32") for s in options.systems))
    except ValueError as error:
        parser.error(f"--systems: {error}")
    return options


def entries_for(options: argparse.Namespace, items: int, rhythm: Rhythm) -> list[Entry]:
    """The same work for every system."""
    rows = options.batch_size * (rhythm.most_steps + 20)  # some more, for what loops read ahead
    folder = write_arrays(options.data, options.users, items, rows, TEST_ROWS)
    sizes = {"embedding_dim": EMBEDDING_DIM, "hidden_dims": HIDDEN_DIMS, "num_cross_layers": 0}
    work = {"data": str(folder), "model": "two_tower", "batch_size": options.batch_size, "seed": options.seed, **sizes}
    return [
        Entry(library, Task(**work, threads=options.threads, rule=rule, precision=precision, scratch=""), kind="towers")
        for library, rule, precision in options.systems
    ]


def recall_of(task: Task, vectors: np.ndarray) -> dict[str, float]:
    """Share of the test rows whose item is among the best K of all items.

    An item that scores the same as the own one counts as better, so that equal vectors find nothing.

    Args:
        vectors: [Q + C, K] float32, of the queries of the test rows and of the catalogue.
    """
    test = task.array("test_ids")
    own = test[:, test.shape[1] - len(ITEM_FIELDS)]
    queries, items = vectors[: len(own)], np.ascontiguousarray(vectors[len(own) :])
    found = 0
    for i in range(0, len(own), QUERIES_AT_ONCE):
        score = queries[i : i + QUERIES_AT_ONCE] @ items.T
        best = np.take_along_axis(score, own[i : i + QUERIES_AT_ONCE, None], 1)
        found += int(((score >= best).sum(1) <= K).sum())
    return {"recall": found / len(own)}


def items_of(outcome: Outcome) -> int:
    return outcome.entry.task.num_ids[-len(ITEM_FIELDS)]


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    header = ["items", "system", "rows/s", "slowest", "fastest", "first is", "steps", f"recall@{K}", "peak GB"]
    rows = []
    for outcome in outcomes:
        start = [f"{items_of(outcome):,}", outcome.entry.name]
        if outcome.error:
            rows.append([*start, *["-"] * (len(header) - len(start))])
            continue
        rates = [f"{rate:,.0f}" for rate in (outcome.rate, min(outcome.rates), max(outcome.rates))]
        against = "" if outcome.against is None else f"{outcome.against:.2f} x"
        measured = [str(outcome.steps), f"{outcome.recall:.4f}", f"{outcome.peak_bytes / 1e9:.2f}"]
        rows.append([*start, *rates, against, *measured])
    return table(header, rows, left=2)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
