"""Where the time of a training step goes: milliseconds of its parts, one after the other as in training.

    GOMP_SPINCOUNT=2000 python benchmarks/step_parts.py     # as `import clickwise` sets it, where torch comes later
    python benchmarks/step_parts.py --model dcn_v2 --precision fp32 --threads 2 --batch-size 256 4096

Data: 39 fields with Zipf ids in Criteo's proportions. The model has its defaults; tables learn by row-wise AdaGrad,
the rest by Adam; freed memory is kept, as in training. Medians. In training, another thread finds the distinct rows
meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict

import numpy as np
import torch

from clickwise import native
from clickwise.batch import Batch
from clickwise.losses import binary_cross_entropy
from clickwise.models import build_model
from clickwise.native.precision import using
from clickwise.optim import Adam, Optimizer, RowwiseAdagrad
from clickwise.registry import models
from clickwise.schema import Field, InputSpec
from criteo_like import draw, field_sizes
from report import machine_line, table

PARTS = ("distinct rows", "forward", "backward", "updates")
WARM = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(models), default="deepfm")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="V")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[1, 256, 4096])
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    native.set_threads(options.threads)
    with native.freed_memory_kept():
        found = [[f"{size:,}", *parts_of(options, size)] for size in options.batch_size]
    print(f"{machine_line()}; {options.threads} threads")
    print(f"{options.model}, {options.precision}, V = {options.rows:,}; milliseconds\n")
    print(table(["rows a step", *PARTS, "in all"], found))


def parts_of(options: argparse.Namespace, size: int) -> list[str]:
    inputs = InputSpec(fields=tuple(Field(name=f"c{i}", num_ids=n) for i, n in enumerate(field_sizes(options.rows))))
    model = build_model(models.get(options.model).Config(), inputs, 1).train()
    optimizer = Optimizer(model, Adam.Config(), RowwiseAdagrad.Config())
    ids, label = draw(field_sizes(options.rows), size * (options.steps + WARM), seed=0)
    ids += np.array(inputs.offsets(), np.int32)
    times: dict[str, list[float]] = defaultdict(list)
    for first in range(0, len(ids), size):
        batch = Batch.of(ids[first : first + size], np.zeros((size, 0), np.float32), None, label[first : first + size])
        marks = [time.perf_counter()]
        batch.distinct_of(inputs.slot_starts())
        marks.append(time.perf_counter())
        with using(options.precision):
            loss = binary_cross_entropy(model(batch), batch.label, None)
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        for part, before, after in zip((*PARTS, "in all"), [*marks[:4], marks[0]], [*marks[1:], marks[4]], strict=True):
            times[part].append(after - before)
    return [f"{1e3 * statistics.median(times[part][WARM:]):.2f}" for part in (*PARTS, "in all")]


if __name__ == "__main__":
    main()
