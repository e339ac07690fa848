"""Time of the compiled interactions and of batch normalisation, beside torch's own operations.

    .venv/bin/python benchmarks/interactions.py --short

B = 4096 rows. FM: 39 fields of 16. Cross networks: 3 layers of d = 624. Norm: batch normalisation, ReLU and dropout of
0.1 over N = 400. All in float32; the products of version 2 are torch's in both columns, so that the difference is what
surrounds them. The two take turns in one process, and the table shows the fastest turn of each in milliseconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clickwise.layers.batch_norm import BatchNormReLU
from clickwise.native import kernels, set_threads
from clickwise.native.cross import cross_v1, cross_v2
from clickwise.native.interactions import FMPairs

B, FIELDS, DIM, LAYERS, WIDTH = 4096, 39, 16, 3, 400
D = FIELDS * DIM

Operation = tuple[Callable[[], Tensor], list[Tensor]]  # and what it is differentiated by


def fm(vectors: Tensor) -> Tensor:
    return 0.5 * (vectors.sum(1).square() - vectors.square().sum(1)).sum(1)


def version_1(x0: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    x = x0
    for w, b in zip(weight, bias, strict=True):
        x = x0 * (x @ w).unsqueeze(1) + b + x
    return x


def version_2(x0: Tensor, up: list[Tensor], bias: list[Tensor], down: list[Tensor]) -> Tensor:
    x = x0
    for i in range(LAYERS):
        x = torch.addcmul(x, x0, F.linear(x @ down[i].t() if down else x, up[i], bias[i]))
    return x


def leaf(*shape: int, scale: float = 1.0) -> Tensor:
    return (torch.randn(*shape) * scale).requires_grad_()


def operations() -> dict[str, tuple[Operation, Operation]]:
    """By name: compiled, torch."""
    vectors, x0, z = leaf(B, FIELDS, DIM), leaf(B, D), leaf(B, WIDTH)
    w, b = leaf(LAYERS, D, scale=0.04), leaf(LAYERS, D)
    full, low, down = ([leaf(*s, scale=0.04) for _ in range(LAYERS)] for s in ((D, D), (D, 64), (64, D)))
    biases = [leaf(D) for _ in range(LAYERS)]
    compiled, plain = BatchNormReLU(WIDTH), nn.BatchNorm1d(WIDTH)
    wide = [*full, *biases]
    narrow = [*low, *biases, *down]
    affine, torchs = [z, *compiled.parameters()], [z, *plain.parameters()]
    return {
        "FM": ((lambda: FMPairs.apply(vectors), [vectors]), (lambda: fm(vectors), [vectors])),
        "cross v1": ((lambda: cross_v1(x0, w, b), [x0, w, b]), (lambda: version_1(x0, w, b), [x0, w, b])),
        "cross v2": (
            (lambda: cross_v2(x0, full, biases), [x0, *wide]),
            (lambda: version_2(x0, full, biases, []), [x0, *wide]),
        ),
        "cross v2, rank 64": (
            (lambda: cross_v2(x0, low, biases, down), [x0, *narrow]),
            (lambda: version_2(x0, low, biases, down), [x0, *narrow]),
        ),
        "norm + ReLU": ((lambda: compiled(z), affine), (lambda: F.relu(plain(z)), torchs)),
        "norm + ReLU + dropout": (
            (lambda: compiled(z, 0.1), affine),
            (lambda: F.dropout(F.relu(plain(z)), 0.1), torchs),
        ),
    }


def times(operation: Operation) -> tuple[float, float]:
    """Seconds of one forward and one backward pass."""
    forward, inputs = operation
    start = time.perf_counter()
    out = forward()
    middle = time.perf_counter()
    grad = torch.ones_like(out)
    before = time.perf_counter()
    torch.autograd.grad(out, inputs, grad)
    return middle - start, time.perf_counter() - before


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="about half a minute instead of two")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    set_threads(args.threads)
    print(f"torch {torch.__version__}, {kernels().isa()}, {args.threads} threads; milliseconds, fastest turn\n")
    print("| operation | forward: compiled | torch | ratio | backward: compiled | torch | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, pair in operations().items():
        turns = [[times(operation) for operation in pair] for _ in range(25 if args.short else 100)]
        cells = []
        for part in (0, 1):
            mine, theirs = (min(turn[side][part] for turn in turns) * 1e3 for side in (0, 1))
            cells += [f"{mine:.2f}", f"{theirs:.2f}", f"{theirs / mine:.1f}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
