"""Indexes of a million items: recall, milliseconds a query on one thread, seconds to build, megabytes, time to open.

    python benchmarks/index.py                                  # 1,000,000 x 64; HNSW takes minutes to build
    python benchmarks/index.py --kinds exact faiss lists        # without it
    python benchmarks/index.py --data DATA/gowalla_m1           # vectors of real items: PureSVD of check-ins

Vectors are those of a mixture, made to length 1: clusters of sizes by Zipf's law lie around topics, and each spreads in
a subspace of its own. Queries come from the same mixture and are no items; half of them tune, the others are measured,
one query at a time, through `ItemIndex.search`. The local dimension (Levina and Bickel 2005) says how hard such vectors
are to search: of independent normal numbers it is about as high as the dimension, of learned vectors much lower.

The recall is the share of the 100 best items, by an exact search in float32. The last rows are of the index of lists:
with a rule that keeps one item in a hundred, and with 100 items left out for each query.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.retrieval.exact import ExactIndex
from clickwise.retrieval.found import Found
from clickwise.retrieval.index_config import IndexConfig
from clickwise.retrieval.item_index import ItemIndex
from clickwise.retrieval.rules import Rule
from report import machine_line, table, write_results

KINDS = {
    "exact": ("NumPy, exact", {"kind": "exact"}),
    "faiss": ("faiss, one list in fp16", {"kind": "faiss", "options": {"exact_up_to": 10**9}}),
    "lists": ("faiss, lists in fp16", {"kind": "faiss", "options": {"exact_up_to": 0}}),
    "hnsw": ("faiss, HNSW in fp16", {"kind": "hnsw"}),
}
RULE = Rule.parse("shop=s7")
SHOPS = 100
SUBSPACE = 12
AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    what: str
    effort: int
    recall: float
    median_ms: float
    p99_ms: float
    build_s: float | None = None
    tune_s: float | None = None
    size_mb: float | None = None
    open_ms: float | None = None

    def cells(self) -> list[str]:
        """As the table shows it."""
        numbers = ((self.build_s, ".1f"), (self.tune_s, ".1f"), (self.size_mb, ",.0f"), (self.open_ms, ".1f"))
        rest = ["" if value is None else format(value, form) for value, form in numbers]
        effort = f"{self.effort:,}" if self.effort else "all"
        return [self.what, effort, f"{self.recall:.4f}", f"{self.median_ms:.3f}", f"{self.p99_ms:.3f}", *rest]


def main() -> None:
    options = parse()
    vectors, tuning, queries = real(Path(options.data)) if options.data else made(options)
    print(f"{machine_line()}; load {os.getloadavg()[0]:.1f} at the start")
    print(f"{len(vectors):,} x {vectors.shape[1]}, local dimension {local_dimension(vectors):.0f}; built by ", end="")
    print(f"{options.threads} threads, searched by one; recall asked for: {options.recall}\n", flush=True)
    lines = list(measured(options, vectors, tuning, queries))
    header = ["index", "looks at", f"recall@{options.k}", "median ms", "p99 ms", "build s", "tune s", "MB", "open ms"]
    print(table(header, [line.cells() for line in lines]))
    about = {name: getattr(options, name) for name in ("items", "dim", "queries", "k", "recall", "threads", "data")}
    write_results("index", {**about, "load": os.getloadavg(), "lines": [asdict(line) for line in lines]})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--queries", type=int, default=1000, help="to tune with, and as many to measure")
    parser.add_argument("--recall", type=float, default=0.95, help="what an index is tuned to")
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--data", help="folder of Gowalla's check-ins, in place of made vectors")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def measured(
    options: argparse.Namespace, vectors: np.ndarray, tuning: np.ndarray, queries: np.ndarray
) -> Iterator[Line]:
    """A line for each kind of index, and those of rules and exclusions."""
    rng = np.random.default_rng(options.seed)
    shops = [f"s{shop}" for shop in range(SHOPS)]
    shop = rng.integers(0, SHOPS, len(vectors))
    items = pa.table(
        {
            "item": [f"item {row}" for row in range(len(vectors))],
            "shop": pa.DictionaryArray.from_arrays(pa.array(shop.astype(np.int32)), shops),
        }
    )
    exact = ExactIndex.of(vectors)
    best = exact.search(queries, options.k)
    for kind in options.kinds:
        name, told = KINDS[kind]
        config = IndexConfig(**{"recall": options.recall, "k": options.k, **told})
        started = time.perf_counter()
        index = ItemIndex.build(items, "item", vectors, config, queries=tuning, threads=options.threads)
        built = index.measured
        rest = time.perf_counter() - started - built.build_s
        some = queries[:50] if kind == "exact" else queries
        line = timed(name, index, some, options.k, best, {})
        yield Line(**{**asdict(line), "build_s": built.build_s, "tune_s": rest, **stored(index)})
        if kind == "lists":
            kept = shop == int(RULE.value[1:])
            ruled = exact.search(queries, options.k, kept)
            yield timed(f"  under {RULE}", index, queries, options.k, ruled, {"where": [RULE]})
            seen = [row[:100] for row in exact.search(queries, 200).rows]
            left = exact.search(queries, options.k + 100)
            left = Found(left.rows[:, 100:], left.scores[:, 100:])
            yield timed("  100 left out", index, queries, options.k, left, {"exclude": seen})


def timed(what: str, index: ItemIndex, queries: np.ndarray, k: int, best: Found, how: dict[str, Any]) -> Line:
    """The recall and the times of searches for one query each."""
    times, shares = [], []
    for at in range(-10, len(queries)):  # the first ten are not counted
        one = queries[at % len(queries)][None]
        mine = {key: [value[at % len(queries)]] if key == "exclude" else value for key, value in how.items()}
        started = time.perf_counter()
        found = index.search(one, k, **mine)
        if at >= 0:
            times.append(1e3 * (time.perf_counter() - started))
            wanted = best.rows[at][best.rows[at] >= 0]
            shares.append(len(np.intersect1d(found.rows[0], wanted)) / max(1, len(wanted)))
    effort = index.measured.effort
    return Line(what, effort, float(np.mean(shares)), float(np.median(times)), float(np.quantile(times, 0.99)))


def stored(index: ItemIndex) -> dict[str, float]:
    """Size, and the time to open what finds the vectors, without the catalogue: the middle one of five."""
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        load = type(index.main.vectors).load
        times = [seconds(lambda: load(Path(folder) / "index" / "main" / "vectors")) for _ in range(5)]
    return {"size_mb": index.measured.size_bytes / 1e6, "open_ms": 1e3 * float(np.median(times))}


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)).astype(np.float32)


def made(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items [C, K], queries [Q, K] to tune with, and others to measure."""
    rng, dim = np.random.default_rng(options.seed), options.dim
    topics, clusters = 200, max(200, options.items // 50)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(dim))

    topic = unit(normal(topics, dim))
    centre = topic[rng.integers(0, topics, clusters)] + np.float32(0.8) * normal(clusters, dim)
    subspace, of_cluster = normal(topics, SUBSPACE, dim), rng.integers(0, topics, clusters)
    spread = (0.5 * np.sqrt(dim) * np.arange(1, SUBSPACE + 1) ** -0.5).astype(np.float32)
    share = 1 / np.arange(1, clusters + 1)

    def draw(count: int) -> np.ndarray:
        found = np.empty((count, dim), np.float32)
        which = rng.choice(clusters, count, p=share / share.sum())
        for start in range(0, count, AT_ONCE):
            mine = which[start : start + AT_ONCE]
            x = centre[mine] + np.float32(0.2) * normal(len(mine), dim)
            inside = normal(len(mine), SUBSPACE) * spread
            for space in np.unique(of_cluster[mine]):
                rows = np.flatnonzero(of_cluster[mine] == space)
                x[rows] += inside[rows] @ subspace[space]
            found[start : start + AT_ONCE] = unit(x)
        return found

    return draw(options.items), draw(options.queries), draw(options.queries)


def real(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PureSVD of Gowalla's check-ins: 64 numbers for each item and user, scaled to length 1; users are the queries."""
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.linalg import svds

    lines = [line.split() for line in (folder / "train.txt").read_text().splitlines()]
    users = np.repeat([int(line[0]) for line in lines], [len(line) - 1 for line in lines])
    items = np.array([int(item) for line in lines for item in line[1:]])
    seen = csr_matrix((np.ones(len(users), np.float32), (users, items)))
    rows, columns = (np.maximum(np.asarray(seen.sum(axis)).ravel(), 1) ** -0.5 for axis in (1, 0))
    left, values, right = svds(diags(rows) @ seen @ diags(columns), k=64, rng=np.random.default_rng(0))
    found = np.random.default_rng(0).permutation(unit(left * np.sqrt(values)))
    return unit(right.T * np.sqrt(values)), found[:1000], found[1000:2000]


def local_dimension(vectors: np.ndarray, k: int = 50) -> float:
    """Median over 500 vectors of 1 / mean_j log(d_k / d_j), d_j the distance of the j-th neighbour.

    Reference: Levina and Bickel 2005, "Maximum Likelihood Estimation of Intrinsic Dimension", Equation 8.
    """
    some = vectors[np.random.default_rng(0).choice(len(vectors), min(500, len(vectors)), replace=False)]
    products = ExactIndex.of(vectors).search(some, k + 1).scores[:, 1:]
    distance = np.sqrt(np.maximum(2.0 - 2.0 * products.astype(np.float64), 1e-9))
    return float(np.median(1 / np.log(distance[:, -1:] / distance[:, :-1]).mean(1).clip(1e-6)))


if __name__ == "__main__":
    main()
