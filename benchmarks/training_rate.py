"""Training rate of DeepFM on Criteo-shaped data, beside what a good user writes in plain torch.

    .venv/bin/python benchmarks/training_rate.py --short

Data: 39 fields with Zipf ids in Criteo's proportions, V rows in all; the label follows a factorisation machine. Model:
first-order weights + FM + MLP 3x400, embedding dimension 16. The systems take turns of a few steps each, so that a busy
machine slows them alike; the table shows the median turn, the spread of the turns, and the test log loss after all of
them: a rate without its loss says nothing.

- clickwise: `build_model`, `Optimizer` and `prefetch` as `train_model` uses them.
- torch sparse: `nn.Embedding(sparse=True)` with `torch.optim.Adagrad` on the tables, Adam on the MLP.
- torch dense: the same with dense gradients and Adam everywhere, as the usual libraries do (not with --short).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.losses import binary_cross_entropy
from clickwise.models import DeepFM, build_model
from clickwise.optim import Adam, Optimizer, RowwiseAdagrad
from clickwise.schema import Field, InputSpec
from clickwise.training.prefetch import prefetch

CRITEO = [1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10]
CRITEO += [5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572]
DIM, HIDDEN = 16, (400, 400, 400)

Step = Callable[[Batch], None]
Score = Callable[[Batch], Tensor]


def cardinalities(rows: int) -> list[int]:
    """Ids of each field: Criteo's, cut at the cap that brings their sum to `rows`."""
    full = [50] * 13 + CRITEO
    low, high = 10, max(full)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sum(min(n, middle) for n in full) > rows else (middle, high)
    return [min(n, low) for n in full]


def simulate(num_ids: list[int], rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ids [rows, F] int32 as table rows, and labels [rows] drawn from a factorisation machine."""
    rng = np.random.default_rng(seed)
    ids = np.empty((rows, len(num_ids)), np.int32)
    logit, total, squares = np.full(rows, -1.3), np.zeros((rows, 4)), np.zeros(rows)
    start = 1
    for f, n in enumerate(num_ids):
        mass = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -1.1)
        drawn = np.minimum(np.searchsorted(mass / mass[-1], rng.random(rows)), n - 1)
        value = rng.permutation(n)[drawn]
        ids[:, f] = start + value
        v = rng.normal(0, 0.25, (n, 4))[value]
        logit += rng.normal(0, 0.25, n)[value]
        total += v
        squares += (v * v).sum(1)
        start += n
    logit += 0.5 * ((total * total).sum(1) - squares)
    return ids, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float32)


class PlainDeepFM(nn.Module):
    """DeepFM as a user writes it."""

    def __init__(self, rows: int, fields: int, sparse: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, DIM, sparse=sparse)
        self.first = nn.Embedding(rows, 1, sparse=sparse)
        nn.init.normal_(self.embedding.weight, 0.0, 0.01)
        nn.init.zeros_(self.first.weight)
        widths = (fields * DIM, *HIDDEN)
        layers: list[nn.Module] = []
        for i, o in pairwise(widths):
            layers += [nn.Linear(i, o), nn.ReLU()]
        self.mlp = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):  # as clickwise starts, so that the losses can be compared
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, batch: Batch) -> Tensor:
        v = self.embedding(batch.sparse)
        pairs = 0.5 * (v.sum(1).square() - v.square().sum(1)).sum(1)
        return self.first(batch.sparse).sum((1, 2)) + pairs + self.mlp(v.flatten(1)).squeeze(1)


def clickwise_system(num_ids: list[int], seed: int) -> tuple[Step, Score]:
    spec = InputSpec(fields=tuple(Field(name=f"c{i}", num_ids=n) for i, n in enumerate(num_ids)))
    model = build_model(DeepFM.Config(embedding_dim=DIM, hidden_dims=HIDDEN), spec, seed)
    optimizer = Optimizer(model, Adam.Config(learning_rate=1e-3), RowwiseAdagrad.Config(learning_rate=0.02))

    def step(batch: Batch) -> None:
        assert batch.label is not None
        binary_cross_entropy(model(batch), batch.label, batch.weight).backward()
        optimizer.step()

    def score(batch: Batch) -> Tensor:
        model.eval()
        logit = model(batch)
        model.train()
        return logit

    return step, score


def torch_system(num_ids: list[int], seed: int, sparse: bool) -> tuple[Step, Score]:
    torch.manual_seed(seed)
    model = PlainDeepFM(1 + sum(num_ids), len(num_ids), sparse)
    tables = [model.embedding.weight, model.first.weight]
    on_tables = torch.optim.Adagrad(tables, lr=0.02) if sparse else torch.optim.Adam(tables, lr=1e-3, fused=True)
    optimizers = [on_tables, torch.optim.Adam(model.mlp.parameters(), lr=1e-3, fused=True)]

    def step(batch: Batch) -> None:
        assert batch.label is not None
        for optimizer in optimizers:
            optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(batch), batch.label).backward()
        for optimizer in optimizers:
            optimizer.step()

    return step, model


def batches(ids: np.ndarray, label: np.ndarray, size: int) -> Iterator[Batch]:
    """Endless passes over the rows."""
    dense = np.zeros((size, 0), np.float32)
    while True:
        for i in range(0, len(label) - size + 1, size):
            yield Batch.of(ids[i : i + size], dense, label=label[i : i + size])


@torch.no_grad()
def log_loss(score: Score, ids: np.ndarray, label: np.ndarray) -> float:
    parts = [score(Batch.of(ids[i : i + 8192], np.zeros((0, 0), np.float32))) for i in range(0, len(label), 8192)]
    return binary_cross_entropy(torch.cat(parts), torch.from_numpy(label)).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="V: ids in all fields")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="about half a minute")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.sparse.check_sparse_tensor_invariants.disable()
    size, turn, turns = options.batch_size, (10, 4)[options.short], (24, 8)[options.short]
    num_ids = cardinalities(options.rows)
    train_rows = size * turn * turns
    ids, label = simulate(num_ids, train_rows + 50_000)
    systems = {
        "clickwise, row-wise AdaGrad": clickwise_system(num_ids, 1),
        "torch sparse, Adagrad": torch_system(num_ids, 1, sparse=True),
    }
    if not options.short:
        systems["torch dense, Adam"] = torch_system(num_ids, 1, sparse=False)
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    feeds = {name: batches(ids[:train_rows], label[:train_rows], size) for name in systems}
    for _ in range(turns):
        for name, (step, _score) in systems.items():
            seconds[name].append(run_turn(step, feeds[name], turn, ahead=name.startswith("clickwise")))
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads, torch {torch.__version__}")
    print(f"DeepFM, {len(num_ids)} fields, V = {sum(num_ids):,}, D = {DIM}, MLP {HIDDEN}, batch {size}, fp32")
    print(f"{turns} turns of {turn} steps each, the first turn not counted\n")
    print(f"{'system':30} {'rows/s':>8} {'from':>8} {'to':>8} {'test log loss':>14}")
    for name, (_step, score) in systems.items():
        rates = sorted(size * turn / s for s in seconds[name][1:])
        loss = log_loss(score, ids[train_rows:], label[train_rows:])
        print(f"{name:30} {statistics.median(rates):8,.0f} {rates[0]:8,.0f} {rates[-1]:8,.0f} {loss:14.5f}")


def run_turn(step: Step, feed: Iterator[Batch], steps: int, ahead: bool) -> float:
    """Seconds for some steps; with or without reading ahead in a thread."""
    piece = (next(feed) for _ in range(steps))
    begin = time.perf_counter()
    if ahead:
        with prefetch(piece, distinct=tuple(range(13 + len(CRITEO) + 1))) as ready:
            for batch in ready:
                step(batch)
    else:
        for batch in piece:
            step(batch)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
