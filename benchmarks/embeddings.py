"""Each part of an embedding step, and whole steps of LR and FM, compiled and in torch, side by side.

    .venv/bin/python benchmarks/embeddings.py --short

Data: 39 fields with Zipf ids in Criteo's proportions. All parts and both tiers take turns, so that a busy machine slows
them alike; the table shows the fastest turn of each.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clickwise import native
from clickwise.batch import Batch
from clickwise.distinct import find_by_sorting
from clickwise.layers import EmbeddingTable
from clickwise.layers.pooling import Pooling
from clickwise.losses import binary_cross_entropy
from clickwise.models import FM, LR, build_model
from clickwise.native.distinct import find_by_hashing
from clickwise.optim import FTRL, SGD, Adagrad, Adam, Optimizer, RowwiseAdagrad
from clickwise.schema import Field, InputSpec
from criteo_like import draw, field_sizes

Work = Callable[[Batch], Any]
RULES = {"sgd": SGD, "adagrad": Adagrad, "row-wise adagrad": RowwiseAdagrad, "adam": Adam, "ftrl": FTRL}
TIERS = ("torch", "embeddings")


def use(tier: str) -> None:
    """Let this tier do the work from now on."""
    os.environ["CLICKWISE_KERNELS"] = tier
    native.tier.cache_clear()


class OneTable:
    """What an optimiser asks of a model, with one table."""

    def __init__(self, table: EmbeddingTable) -> None:
        self.table = table

    def named_parameters(self) -> Any:
        return iter(())

    def tables(self) -> dict[str, EmbeddingTable]:
        return {"table": self.table}


class Parts:
    """The parts of a step on one table, each timed alone. State of a turn is made outside of the time."""

    def __init__(self, inputs: InputSpec, dim: int) -> None:
        self.pooling = Pooling.of(inputs, total=dim == 1)
        self.groups = torch.tensor(self.pooling.groups, dtype=torch.int32)
        self.table = EmbeddingTable(inputs.num_rows, dim, 0.01)
        self.optimizers = {name: Optimizer(OneTable(self.table), rule.Config()) for name, rule in RULES.items()}

    def turn(self, tier: str, sparse: Tensor, seconds: dict[tuple[str, str], list[float]]) -> None:
        def timed(part: str, work: Callable[[], Any]) -> Any:
            begin = time.perf_counter()
            result = work()
            seconds.setdefault((part, tier), []).append(time.perf_counter() - begin)
            return result

        use(tier)
        batch = Batch(sparse, torch.zeros(len(sparse), 0))
        find = find_by_sorting if tier == "torch" else find_by_hashing
        timed("distinct rows", lambda: find(sparse, self.groups))
        with torch.no_grad():
            timed("look up without gradient", lambda: self.table.lookup(batch, self.pooling))
        batch.distinct_of(self.pooling.groups)
        for name, optimizer in self.optimizers.items():
            vectors = timed("gather and expand", lambda: self.table.lookup(batch, self.pooling))
            gradient = torch.randn_like(vectors) * 1e-4
            timed("backward", lambda v=vectors, g=gradient: v.backward(g))
            timed(f"update: {name}", optimizer.step)


def whole_step(config: Any, inputs: InputSpec) -> Work:
    model = build_model(config, inputs, 1)
    optimizer = Optimizer(model, Adagrad.Config())

    def step(batch: Batch) -> None:
        assert batch.label is not None
        binary_cross_entropy(model(batch), batch.label).backward()
        optimizer.step()

    return step


def table_of(seconds: dict[tuple[str, str], list[float]], size: int) -> None:
    print(f"{'':34} {'torch ms':>9} {'compiled ms':>12} {'ratio':>6} {'compiled rows/s':>16}")
    for part in dict.fromkeys(part for part, _ in seconds):
        slow, fast = (min(seconds[part, tier][1:]) for tier in TIERS)
        print(f"{part:34} {slow * 1e3:9.2f} {fast * 1e3:12.3f} {slow / fast:6.1f} {size / fast:16,.0f}")


def run(rows: int, size: int, turns: int) -> None:
    num_ids = field_sizes(rows)
    inputs = InputSpec(fields=tuple(Field(name=f"c{i}", num_ids=n) for i, n in enumerate(num_ids)))
    ids, label = draw(num_ids, size * turns, seed=0)
    ids += np.array(inputs.offsets(), np.int32)
    batches = [
        (torch.from_numpy(ids[i : i + size]), torch.from_numpy(label[i : i + size])) for i in range(0, len(ids), size)
    ]
    distinct = np.mean([sum(len(np.unique(s[:, f])) for f in range(len(num_ids))) for s, _ in batches[:2]])
    print(f"\nV = {sum(num_ids):,}, {len(num_ids)} fields, batch {size}, {distinct:,.0f} distinct rows a batch")
    for dim in (16, 1):
        seconds: dict[tuple[str, str], list[float]] = {}
        parts = Parts(inputs, dim)
        for sparse, _ in batches:
            for tier in TIERS:
                parts.turn(tier, sparse, seconds)
        print(f"\nD = {dim}" + (", summed over fields" if dim == 1 else ""))
        table_of(seconds, size)
        del parts
    seconds = {}
    steps = {}
    for name, config in {"LR": LR.Config(), "FM": FM.Config(embedding_dim=16)}.items():
        for tier in TIERS:
            use(tier)
            steps[f"{name}, distinct rows included", tier] = whole_step(config, inputs)
    for sparse, label_part in batches:
        for (name, tier), step in steps.items():
            use(tier)
            begin = time.perf_counter()
            step(Batch(sparse, torch.zeros(size, 0), label=label_part))
            seconds.setdefault((name, tier), []).append(time.perf_counter() - begin)
    print("\nWhole steps, AdaGrad")
    table_of(seconds, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="V = 1 M only, about half a minute")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    native.set_threads(options.threads)
    machine = f"{platform.processor() or platform.machine()}, kernels for {native.kernels().isa()}"
    print(f"{machine}, {options.threads} threads, torch {torch.__version__}")
    for rows in (1_000_000,) if options.short else (1_000_000, 10_000_000):
        run(rows, options.batch_size, 10 if options.short else 20)


if __name__ == "__main__":
    main()
