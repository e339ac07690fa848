"""Rate of a tower of linear layers, forward and backward, beside torch and beside what the processor could do at most.

    .venv/bin/python benchmarks/dense.py --short

Instruction sets, precisions and torch take turns, so that a busy machine slows them alike; each figure is the best of
its turns. The peak is that of multiply-adds that never leave the registers, on one core in the same run, times the
threads. Floating-point operations are those of the layers as they are: what kernels do on padding counts for nothing.

- forward: as in training, that is, activations are kept.
- input gradient: a backward pass that only x asks for, through all layers.
- weight gradient: what it takes longer when all weights and biases ask too.
- step: forward and the whole backward pass.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from clickwise.native import available_isas, kernels, precision, set_threads
from clickwise.native.dense import Layer, tower
from clickwise.native.precision import Precision


@dataclass
class System:
    """Something that computes the tower; `peak` in operations a second of one core."""

    name: str
    mode: Precision
    isa: str | None = None
    peak: float = 0.0
    forward: float = float("inf")
    input_gradient: float = float("inf")
    backward: float = float("inf")
    steps: list[float] = field(default_factory=list)

    def run(self, x: Tensor, layers: list[Layer]) -> Tensor:
        if self.isa is None:
            return torch_tower(x, layers, torch.bfloat16 if self.mode == "bf16" else torch.float32)
        with precision.using(self.mode):
            return tower(x, layers)

    def turn(self, x: Tensor, layers: list[Layer], grad: Tensor) -> None:
        """One turn: everything is timed once."""
        if self.isa is not None:
            kernels().use_isa(self.isa)
            self.peak = max(self.peak, spin(self.mode))
        parameters = [p for layer in layers for p in (layer.weight, layer.bias) if p is not None]
        for p in parameters:
            p.requires_grad_(False)
        y = self.run(x, layers)
        self.input_gradient = min(self.input_gradient, seconds(lambda: torch.autograd.grad(y, x, grad)))
        for p in parameters:
            p.requires_grad_()
        results: list[Tensor] = []
        forward = seconds(lambda: results.append(self.run(x, layers)))
        backward = seconds(lambda: torch.autograd.grad(results[0], [x, *parameters], grad))
        self.forward, self.backward = min(self.forward, forward), min(self.backward, backward)
        self.steps.append(forward + backward)


def torch_tower(x: Tensor, layers: list[Layer], kind: torch.dtype) -> Tensor:
    a = x.to(kind)
    for layer in layers:
        assert layer.bias is not None
        a = F.linear(a, layer.weight.to(kind), layer.bias.to(kind))
        if layer.relu:
            a = F.relu(a)
    return a.float()


def seconds(call: Callable[[], object]) -> float:
    """Of the calling thread when it works alone, so that other programs do not count; else of the clock on the wall."""
    clock = time.thread_time if kernels().threads() == 1 else time.perf_counter
    begin = clock()
    call()
    return clock() - begin


def spin(mode: Precision, steps: int = 200_000) -> float:
    """Operations a second of one core that only multiplies and adds."""
    operations: list[int] = []
    taken = seconds(lambda: operations.append(kernels().dense_spin(mode == "bf16", steps)))
    return operations[0] / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4096, help="B")
    parser.add_argument("--widths", default="624,400,400,400,1", help="of the input and of each layer's result")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--isas", help="some of the instruction sets; all that this machine has without this")
    parser.add_argument("--short", action="store_true", help="about half a minute; only the best instruction set")
    options = parser.parse_args()
    set_threads(options.threads)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    widths = [int(w) for w in options.widths.split(",")]
    layers = [
        Layer(
            torch.randn(n, k).div_(k**0.5).requires_grad_(), torch.zeros(n).requires_grad_(), relu=i < len(widths) - 2
        )
        for i, (k, n) in enumerate(pairwise(widths))
    ]
    x = torch.randn(options.rows, widths[0]).requires_grad_()
    grad = torch.randn(options.rows, widths[-1]) / options.rows
    isas = [i for i in available_isas() if i != "amx_emulated"]
    isas = options.isas.split(",") if options.isas else isas[:1] if options.short else isas
    modes: tuple[Precision, Precision] = ("fp32", "bf16")
    systems = [System(isa, mode, isa) for isa in isas for mode in modes]
    systems += [System("torch", mode) for mode in modes]
    for _ in range(8 if options.short else 12):
        for system in systems:
            system.turn(x, layers, grad)
    operations = 2 * options.rows * sum(k * n for k, n in pairwise(widths))
    print(
        f"tower {' -> '.join(map(str, widths))}, {options.rows} rows, {options.threads} threads, {torch.__version__=}"
    )
    print("GFLOP/s, in brackets the share of the peak\n")
    print(f"{'':14}{'':6}{'peak':>7}{'forward':>15}{'input gradient':>16}{'weight gradient':>17}{'step, ms':>10}")
    for s in systems:
        peak = s.peak * options.threads
        rates = [operations / t for t in (s.forward, s.input_gradient, max(s.backward - s.input_gradient, 1e-9))]
        shares = [f"{r / 1e9:,.0f}" + (f" ({r / peak:4.0%})" if peak else "") for r in rates]
        print(f"{s.name:14}{s.mode:6}{peak / 1e9 or 0:7,.0f}", end="")
        print(f"{shares[0]:>15}{shares[1]:>16}{shares[2]:>17}{min(s.steps) * 1e3:10.2f}")


if __name__ == "__main__":
    main()
