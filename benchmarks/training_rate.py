"""Training rate of clickwise and of other libraries, side by side in one run on one machine.

    python benchmarks/training_rate.py --short                                    # half a minute, no other library
    python benchmarks/make_peers.py && python benchmarks/training_rate.py --all   # everything: hours
    python benchmarks/training_rate.py --model deepfm dcn_v2 --rows 1000000 --systems clickwise fuxictr clickwise:bf16

Data: 39 fields of Zipf ids in Criteo's proportions, V rows in all, clicks drawn from a factorisation machine. Models:
embedding dimension 16, hidden layers 3 x 400, 3 cross layers, batch 4096, binary cross entropy, learning rates as each
library has them. Every system runs its library's own training loop in a process of its own; the loop is held between
two steps while the others have their turn, so that a busy machine slows all alike. The table has the median turn, the
slowest and the fastest, the steps made, and log loss and AUC on the same test rows after them: a rate without its
loss says nothing, and losses after different numbers of steps are not to be compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from criteo_like import field_sizes, write_arrays
from peers.protocol import Task
from report import machine_line, table, write_results
from systems import DATA_FOLDER, LIBRARIES, PEERS_FOLDER, Entry, Outcome, Rhythm, parse_system, race

MODELS = ("deepfm", "wide_deep", "dcn_v2", "fm", "lr")
SIZES = (100_000, 1_000_000, 10_000_000, 33_000_000)
LIKE_FOR_LIKE = ["clickwise:adagrad", "torch_sparse", "clickwise:rowwise_adagrad", "fbgemm"]
EVERYTHING = ["clickwise", "clickwise:bf16", "fuxictr", "deepctr_torch", "torch_rechub"]
EVERYTHING += [f"{system}:{precision}" for system in LIKE_FOR_LIKE for precision in ("fp32", "bf16")]
EMBEDDING_DIM, HIDDEN_DIMS, CROSS_LAYERS, TEST_ROWS = 16, [400, 400, 400], 3, 100_000


def main() -> None:
    options = parse()
    rhythm = Rhythm(turns=options.turns, steps=options.steps, seconds=options.seconds)
    outcomes: list[Outcome] = []
    for model in options.model:
        for rows in options.rows:
            sizes = (options.data, options.threads, options.batch_size, options.seed)
            entries = entries_for(options.systems, model, field_sizes(rows), rhythm, *sizes)
            say(f"{model}, V = {sum(entries[0].task.num_ids):,}")
            outcomes += race(entries, rhythm, options.peers, say)
    print(f"{machine_line()}; {options.threads} threads")
    print(f"39 fields, D = {EMBEDDING_DIM}, hidden {HIDDEN_DIMS}, batch {options.batch_size}; ", end="")
    print(f"{options.turns} turns of {options.steps} steps each after {rhythm.warm} that are not counted\n")
    print(outcome_table(outcomes))
    print(notes(outcomes))
    if not options.short:
        about = {"threads": options.threads, "turns": options.turns, "steps": options.steps}
        write_results(options.name, {**about, "rows": [outcome.to_data() for outcome in outcomes]})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=MODELS, default=["deepfm"])
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000_000], metavar="V", help="table rows in all")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help=f"library[:rule][:precision]: {list(LIBRARIES)}")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of systems that do not say")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--steps", type=int, default=10, help="counted steps of a turn")
    parser.add_argument("--seconds", type=float, default=30.0, help="a slower turn has one counted step only")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers", type=Path, default=PEERS_FOLDER, help="folder of the environments")
    parser.add_argument("--data", type=Path, default=DATA_FOLDER, help="folder of the simulated rows")
    parser.add_argument("--name", default="training-rate", help="of the file of results")
    parser.add_argument("--short", action="store_true", help="DeepFM at a million rows beside torch; writes no results")
    parser.add_argument("--all", action="store_true", help="every model, size and system")
    options = parser.parse_args()
    if options.all:
        options.model, options.rows = list(MODELS), list(SIZES)
    options.systems = options.systems or (EVERYTHING if options.all else LIKE_FOR_LIKE)
    if options.short:
        options.systems, options.turns, options.steps = LIKE_FOR_LIKE[:2], 6, 5
    try:
        options.systems = list(dict.fromkeys(parse_system(s, options.precision) for s in options.systems))
    except ValueError as error:
        parser.error(f"--systems: {error}")
    return options


def entries_for(
    systems: Sequence[tuple[str, str, str]],
    model: str,
    num_ids: list[int],
    rhythm: Rhythm,
    data: Path,
    threads: int,
    batch_size: int = 4096,
    seed: int = 1,
) -> list[Entry]:
    """The same work for every system; a system is what `parse_system` gives."""
    train_rows = batch_size * (rhythm.most_steps + 20)  # some more, for what loops read ahead
    folder = write_arrays(data, num_ids, train_rows, TEST_ROWS)
    sizes = {"embedding_dim": EMBEDDING_DIM, "hidden_dims": HIDDEN_DIMS, "num_cross_layers": CROSS_LAYERS}
    work = {"data": str(folder), "model": model, "batch_size": batch_size, "threads": threads, "seed": seed, **sizes}
    return [
        Entry(library, Task(**work, rule=rule, precision=precision, scratch="")) for library, rule, precision in systems
    ]


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    header = ["model", "V", "system", "rows/s", "slowest", "fastest", "first is", "steps", "log loss", "AUC", "peak GB"]
    rows = []
    for outcome in outcomes:
        task = outcome.entry.task
        start = [task.model, f"{sum(task.num_ids):,}", outcome.entry.name]
        if outcome.error:
            rows.append([*start, *["-"] * (len(header) - len(start))])
            continue
        rates = [f"{rate:,.0f}" for rate in (outcome.rate, min(outcome.rates), max(outcome.rates))]
        against = "" if outcome.against is None else f"{outcome.against:.2f} x"
        measured = [f"{outcome.log_loss:.5f}", f"{outcome.auc:.5f}", f"{outcome.peak_bytes / 1e9:.2f}"]
        rows.append([*start, *rates, against, str(outcome.steps), *measured])
    return table(header, rows, left=3)


def notes(outcomes: Sequence[Outcome]) -> str:
    """What is not the same, and why figures are missing."""
    lines = dict[str, None]()
    for outcome in outcomes:
        name, task = outcome.entry.name, outcome.entry.task
        if outcome.notes:
            versions = ", ".join(f"{package} {number}" for package, number in outcome.versions.items())
            lines[f"  {name}: {outcome.notes} ({versions})"] = None
        if outcome.error:
            lines[f"  no figure: {name}, {task.model}, V = {sum(task.num_ids):,}: {outcome.error}"] = None
    return "\n".join(["", *lines])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
