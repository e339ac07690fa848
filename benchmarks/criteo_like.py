"""Data shaped like Criteo's display advertising log: 39 fields, its cardinalities, Zipf ids, clicks with a known law.

Nothing here comes from a real log. The click of a row is drawn from a factorisation machine over its ids, so that there
is something to learn and every system can be asked how much of it it learned.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

NUMBER_BUCKETS = [50] * 13
CATEGORIES = [1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10]
CATEGORIES += [5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572]
NUMBERS_MISSING = [0.45, 0, 0.21, 0.21, 0.02, 0.22, 0.04, 0, 0.04, 0.45, 0.04, 0.76, 0.21]
TOKENS_MISSING = [0, 0, 0.03, 0.03, 0, 0.12, 0, 0, 0, 0, 0, 0.03, 0, 0, 0, 0.03, 0, 0, 0.44, 0.44, 0.03, 0.76, 0, 0.03]
TOKENS_MISSING += [0.44, 0.44]
HEADER = ["label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]
ZIPF_EXPONENT = 1.1
TRUE_DIM = 4
BASE_LOGIT = -1.3


def field_sizes(rows: int, fields: int = 39) -> list[int]:
    """Ids of each field: Criteo's, cut at the cap that brings their sum to `rows`; over and over for more fields."""
    full = (NUMBER_BUCKETS + CATEGORIES) * (-(-fields // 39))
    full = full[:fields] if fields >= 39 else (CATEGORIES + NUMBER_BUCKETS)[:fields]
    low, high = 1, max(full)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sum(min(n, middle) for n in full) > rows else (middle, high)
    return [min(n, high if sum(full) <= rows else low) for n in full]


def draw(num_ids: list[int], rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids [rows, F] int32, from 0 in each field, and labels [rows] float32."""
    rng = np.random.default_rng(seed)
    ids = np.empty((rows, len(num_ids)), np.int32)
    logit = np.full(rows, BASE_LOGIT)
    total, squares = np.zeros((rows, TRUE_DIM)), np.zeros(rows)
    for f, n in enumerate(num_ids):
        mass = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -ZIPF_EXPONENT)
        rank = np.minimum(np.searchsorted(mass / mass[-1], rng.random(rows)), n - 1)
        ids[:, f] = rng.permutation(n).astype(np.int32)[rank]
        logit += rng.normal(0, 0.25, n)[ids[:, f]]
        v = rng.normal(0, 0.25, (n, TRUE_DIM)).astype(np.float32)[ids[:, f]]
        total += v
        squares += (v * v).sum(1)
    logit += 0.5 * ((total * total).sum(1) - squares)
    return ids, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float32)


def write_arrays(folder: Path, num_ids: list[int], rows: int, test_rows: int, seed: int = 0) -> Path:
    """The arrays that `peers.protocol.Task.array` reads, in a folder named by what is in them; made once."""
    folder = folder / f"rows{rows}_test{test_rows}_ids{sum(num_ids)}_fields{len(num_ids)}_seed{seed}"
    done = folder / "complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        ids, label = draw(num_ids, rows + test_rows, seed)
        arrays = {"ids": ids[:rows], "label": label[:rows], "test_ids": ids[rows:], "test_label": label[rows:]}
        for name, array in {**arrays, "num_ids": np.array(num_ids, np.int64)}.items():
            np.save(folder / f"{name}.npy", array)
        done.touch()
    return folder


def write_text(path: Path, rows: int, seed: int = 0) -> None:
    """Rows as text in the format of Criteo's train.txt: label, 13 counts, 26 tokens of 8 hex digits, tabs, no header.

    A count grows with the bucket that the click depends on; a column misses about as many cells as in the real log.
    """
    ids, label = draw(NUMBER_BUCKETS + CATEGORIES, rows, seed)
    rng = np.random.default_rng([seed, 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for i in range(0, rows, 50_000):
            part = slice(i, i + 50_000)
            columns = [label[part].astype(np.int8).astype(str).tolist(), *_columns(ids[part], rng)]
            file.writelines("\t".join(cells) + "\n" for cells in zip(*columns, strict=True))


def _columns(ids: np.ndarray, rng: np.random.Generator) -> Iterator[list[str]]:
    for f, column in enumerate(ids.T):
        if f < len(NUMBER_BUCKETS):
            count = np.floor(np.exp(rng.normal(column / 12.0, 0.1))).astype(np.int64) - (f == 1)
            cells, missing = count.astype(str).tolist(), NUMBERS_MISSING[f]
        else:
            mixed = (column.astype(np.uint64) * np.uint64(2654435761) + np.uint64(f * 40503)) & np.uint64(0xFFFFFFFF)
            cells, missing = [f"{token:08x}" for token in mixed.tolist()], TOKENS_MISSING[f - len(NUMBER_BUCKETS)]
        absent = rng.random(len(cells)) < missing
        yield [("" if gone else cell) for cell, gone in zip(cells, absent.tolist(), strict=True)]


def main() -> None:
    """Write one text file: a process of its own, so that its memory is not that of the benchmark."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_text(options.path, options.rows, options.seed)
    print(json.dumps({"bytes": options.path.stat().st_size}))


if __name__ == "__main__":
    main()
