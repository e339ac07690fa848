"""Every registered model at its defaults: training rows a second, and the seconds that a million rows take.

    python benchmarks/model_rates.py                       # a million rows of every model
    python benchmarks/model_rates.py --rows 40960 --models xdeepfm fibinet --threads 1
    python benchmarks/model_rates.py --short               # two steps of every model; keeps and writes nothing

Data: 39 fields of Zipf ids in Criteo's proportions, V = 1 M, as in `training_rate.py`. One pass over the rows with the
defaults of the model and of training, batch 4096, in a process of its own; FNN without the FM that it starts from.
DIN also has a sequence of 20 values of the largest field, those of the rows before; Two-Tower has the last 13 fields as
its item's and trains on clicks alone, for retrieval, so that its logit is no probability. Where fewer rows than a
million were trained on, the seconds of a million are extrapolated and marked with ~. Log loss is that of other rows,
after the pass. A result that is in `--out` is not made again; one from another commit is marked.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clickwise.atomic import whole_file
from clickwise.bundle.bundle import batch_logits
from clickwise.data.dataset import EncodedPart, row_dtype
from clickwise.errors import ClickwiseError
from clickwise.evaluation import ScoredBlock, evaluate_blocks
from clickwise.models import build_model
from clickwise.registry import models
from clickwise.run_config import model_to_data, run_config
from clickwise.schema import Field, InputSpec
from clickwise.training import train_model
from criteo_like import field_sizes, write_arrays
from report import commit, machine_line, table, write_results
from systems import DATA_FOLDER, ROOT

MILLION = 1_000_000
TEST_ROWS = 100_000
SHORT_ROWS = 8_192
SEQUENCE_LENGTH = 20
ITEM_FIELDS = 13


@dataclass(frozen=True)
class Run:
    """One pass of one model over the rows."""

    model: str
    rows: int
    table_rows: int
    batch_size: int
    threads: int
    precision: str

    def asked(self) -> dict[str, Any]:
        """What its result depends on, the code aside."""
        return {**asdict(self), "model": model_to_data(models.get(self.model).Config())}


def main() -> None:
    options = parse()
    data = write_arrays(options.data, field_sizes(options.table_rows), options.rows, options.test_rows)
    sizes = (options.rows, options.table_rows, options.batch_size, options.threads, options.precision)
    found = {model: result_of(Run(model, *sizes), data, options.out) for model in options.models}
    print(f"{machine_line()}; {options.threads} threads")
    print(f"39 fields, V = {options.table_rows:,}, batch {options.batch_size}, {options.rows:,} rows\n")
    print(rates_table(found))
    for model, result in found.items():
        if "error" in result:
            print(f"  no figure: {model}: {result['error']}")
    if not options.short:
        write_results("model-rates", {"runs": found})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(models), default=list(models), metavar="MODEL")
    parser.add_argument("--rows", type=int, default=MILLION, help="training rows")
    parser.add_argument("--test-rows", type=int, default=TEST_ROWS, help="rows of the log loss")
    parser.add_argument("--table-rows", type=int, default=MILLION, metavar="V")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--data", type=Path, default=DATA_FOLDER, help="folder of the simulated rows")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "model_rates", help="folder of the results")
    parser.add_argument("--short", action="store_true", help="two steps of every model; keeps and writes nothing")
    options = parser.parse_args()
    if options.short:
        options.rows, options.test_rows, options.out = SHORT_ROWS, SHORT_ROWS, None
    return options


def result_of(run: Run, data: Path, out: Path | None) -> dict[str, Any]:
    """The result that lies in `out`, else that of running it now; what failed is not kept."""
    path = None if out is None else out / f"{run.model}-{run.rows}-{run.threads}-{run.precision}.json"
    if path and path.exists() and (known := json.loads(path.read_text()))["asked"] == json_of(run.asked()):
        return known
    print(f"{run.model} ...", file=sys.stderr, flush=True)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            found = {"asked": json_of(run.asked()), "commit": commit(), **pool.submit(train, run, data).result()}
        except ClickwiseError as error:  # a model that says it cannot take these fields
            return {"error": str(error)}
        except BrokenProcessPool:
            return {"error": "its process ended, perhaps for want of memory"}
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write_text(json.dumps(found, indent=1) + "\n")
    return found


def train(run: Run, data: Path) -> dict[str, Any]:
    """In a process of its own: seconds of one pass, parameters, peak memory, log loss and AUC after it."""
    sizes = np.load(data / "num_ids.npy").tolist()
    inputs = inputs_of(run.model, sizes)
    part, test = (encoded(data, name, inputs) for name in ("", "test_"))
    told = {"epochs": 1, "batch_size": run.batch_size, "threads": run.threads, "precision": run.precision}
    config = run_config({"training": told}, model=run.model)
    model = build_model(config.model, inputs, seed=1, base_rate=part.positives / len(part))
    result = train_model(model, part, None, config.training)
    blocks = (
        ScoredBlock(batch_logits(model, batch), label) for batch, label, *_ in test.scored_batches(run.batch_size)
    )
    report = evaluate_blocks(blocks, metrics=("log_loss", "roc_auc"))
    return {
        "rows": result.rows_seen,
        "seconds": result.seconds,
        "precision": result.precision,
        "parameters": sum(p.numel() for p in model.parameters()),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "test": dict(report.metrics) if model.objective == "logistic" else {"roc_auc": report.metrics["roc_auc"]},
    }


def inputs_of(model: str, sizes: list[int]) -> InputSpec:
    """A field for each size; for a model of sequences one of the largest field, for one of towers an item."""
    fields = [Field(name=f"c{f}", num_ids=n) for f, n in enumerate(sizes)]
    if model == "din":
        largest = fields[int(np.argmax(sizes))]
        sequence = Field(name="past", num_ids=largest.num_ids, length=SEQUENCE_LENGTH, shares=largest.name)
        fields.insert(fields.index(largest) + 1, sequence)
    item = tuple(field.name for field in fields[-ITEM_FIELDS:]) if model == "two_tower" else ()
    return InputSpec(fields=tuple(fields), item=item)


def encoded(data: Path, part: str, inputs: InputSpec) -> EncodedPart:
    """The rows that `write_arrays` wrote, as training reads them."""
    ids, label = (np.load(data / f"{part}{name}.npy", mmap_mode="r") for name in ("ids", "label"))
    rows, column = np.zeros(len(label), row_dtype(inputs)), -1
    for (field, slots), first in zip(inputs.slots(), inputs.offsets(), strict=True):
        column += not field.shares  # a sequence follows the field whose values it has
        for lag, slot in enumerate(range(slots.start, slots.stop), int(bool(field.shares))):
            rows["sparse"][:, slot] = np.roll(ids[:, column], lag) + first
    rows["label"], rows["weight"] = label, 1.0
    return EncodedPart(rows, inputs, weighted=False)


def rates_table(found: dict[str, dict[str, Any]]) -> str:
    """A row a model, the fastest first; those without figures at the end."""
    header = ["model", "rows/s", "s a million rows", "parameters", "peak GB", "log loss", "AUC", "precision"]
    now, lines = commit(), []
    done = {model: result for model, result in found.items() if "error" not in result}
    rates = {model: result["rows"] / result["seconds"] for model, result in done.items()}
    for model, rate in sorted(rates.items(), key=lambda item: -item[1]):
        result = done[model]
        extrapolated = "" if result["rows"] >= MILLION else "~"
        test = (f"{result['test'][key]:.4f}" if key in result["test"] else "-" for key in ("log_loss", "roc_auc"))
        size = [f"{result['parameters']:,}", f"{result['peak_bytes'] / 1e9:.2f}"]
        stale = "" if result["commit"] == now else f" at {result['commit']}"
        seconds = f"{extrapolated}{MILLION / rate:,.1f}"
        lines.append([model, f"{rate:,.0f}", seconds, *size, *test, result["precision"] + stale])
    lines += [[model, *["-"] * (len(header) - 1)] for model in found if model not in done]
    return table(header, lines)


def json_of(content: dict[str, Any]) -> dict[str, Any]:
    """As it reads back from a file of JSON: lists where tuples were."""
    return json.loads(json.dumps(content))


if __name__ == "__main__":
    main()
