"""What this machine can do at best, and the share of it that a training step reaches.

    python benchmarks/roofline.py

Measured here, best of many short repetitions: the rate of matrix products in fp32 and bf16 (torch, which is oneDNN)
at the shapes of the dense layers, forward, for the input gradients and for the weight gradients; the rate at which
random rows are read from a table (torch's index_select), and read, added to and written back (index_select, add_,
index_copy_ on distinct rows: three passes where a kernel needs one, so the limit comes out low and shares of it high
by the little that rows weigh beside dense layers). From them the least time a step can take: its FLOPs at the best
product rate, plus its distinct rows, read once and changed once. Then the rate of clickwise's own training loop, as
`training_rate.py` measures it, over that limit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from criteo_like import field_sizes
from report import machine_line, table, write_results
from systems import DATA_FOLDER, PEERS_FOLDER, Rhythm, parse_system, race
from training_rate import EMBEDDING_DIM, HIDDEN_DIMS, entries_for

FIELDS, BATCH = 39, 4096
TABLES = (1_000_000, 33_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--systems", nargs="+", default=["clickwise"], help="library[:rule][:precision]")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="V")
    parser.add_argument("--tables", nargs="+", type=int, default=list(TABLES), help="rows of the tables read from")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{machine_line()}; {options.threads} threads\n")
    products = {name: product_rates(dtype) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    print(product_table(products), "\n")
    access = {rows: row_rates(rows) for rows in options.tables}
    header = ["table rows", "GB", "random reads M/s", "random read-modify-writes M/s"]
    lines = [[f"{n:,}", f"{n * 64 / 1e9:.2f}", f"{r / 1e6:.1f}", f"{w / 1e6:.1f}"] for n, (r, w) in access.items()]
    print(table(header, lines), "\n")
    shares = share_table(options, products, access)
    write_results("roofline", {"threads": options.threads, "products": products, "rows": access, "shares": shares})


def shapes() -> list[tuple[int, int]]:
    """In and out widths of the dense layers of DeepFM."""
    return list(pairwise((FIELDS * EMBEDDING_DIM, *HIDDEN_DIMS)))


def product_rates(dtype: torch.dtype) -> dict[str, float]:
    """FLOP/s of each product of each layer: x W^T, g W, g^T x."""
    rates = {}
    for i, o in dict.fromkeys(shapes()):
        x, w, g = (torch.randn(size).to(dtype) for size in ((BATCH, i), (o, i), (BATCH, o)))
        work = {"forward": (x, w.t()), "input gradient": (g, w), "weight gradient": (g.t(), x)}
        for name, (a, b) in work.items():
            rates[f"{i} x {o} {name}"] = 2.0 * BATCH * i * o / best(lambda a=a, b=b: torch.mm(a, b))
    return rates


def product_table(products: dict[str, dict[str, float]]) -> str:
    names = list(products["fp32"])
    rows = [[name, *(f"{rates[name] / 1e9:,.0f}" for rates in products.values())] for name in names]
    return table(["matrix product", *(f"{precision} GFLOP/s" for precision in products)], rows)


def row_rates(rows: int, count: int = 400_000, dim: int = 16) -> tuple[float, float]:
    """Random rows of 64 bytes a second: read into another place; read, added to and written."""
    weight = torch.zeros(rows, dim)
    index = torch.from_numpy(np.random.default_rng(0).choice(rows, count, replace=False, shuffle=True))
    out, addend = torch.empty(count, dim), torch.ones(count, dim)

    def change() -> None:
        torch.index_select(weight, 0, index, out=out)
        weight.index_copy_(0, index, out.add_(addend))

    read = best(lambda: torch.index_select(weight, 0, index, out=out), seconds=1.0)
    return count / read, count / best(change, seconds=1.0)


def best(work: Callable[[], object], seconds: float = 0.4) -> float:
    """The shortest of the times that `work` takes, repeated for about so many seconds."""
    shortest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - begin)
    return shortest


def share_table(
    options: argparse.Namespace, products: dict[str, dict[str, float]], access: dict[int, tuple[float, float]]
) -> list[dict[str, float | str]]:
    """Print and return, for each system: its rate, the limit of its precision, and the share."""
    rhythm = Rhythm(turns=options.turns, steps=10, seconds=30.0)
    systems = [parse_system(text, "fp32") for text in options.systems]
    entries = entries_for(systems, "deepfm", field_sizes(options.rows), rhythm, options.data, options.threads)
    flops = 6.0 * sum(i * o for i, o in shapes())  # a sample: forward and two gradients, 2 FLOPs a weight each
    distinct = distinct_rows(np.asarray(entries[0].task.array("ids")[:BATCH])) / BATCH
    nearest = min(access, key=lambda rows: abs(rows - options.rows))
    read, change = access[nearest]
    found = []
    for outcome in race(entries, rhythm, PEERS_FOLDER, print):
        fastest = max(products[outcome.entry.task.precision].values())
        limit = 1.0 / (flops / fastest + distinct / read + distinct / change)
        about = {"system": outcome.entry.name, "rate": outcome.rate, "limit": limit, "share": outcome.rate / limit}
        found.append({**about, "error": outcome.error})
    lines = [
        [str(f["system"]), f"{f['rate']:,.0f}", f"{f['limit']:,.0f}", f"{100 * float(f['share']):.0f} %"] for f in found
    ]
    print(f"DeepFM, V = {options.rows:,}: {flops / 1e6:.2f} MFLOP and {distinct:.2f} distinct rows a sample")
    print(table(["system", "rows/s", "limit rows/s", "share"], lines))
    return found


def distinct_rows(ids: np.ndarray) -> int:
    return sum(len(np.unique(column)) for column in ids.T)


if __name__ == "__main__":
    main()
