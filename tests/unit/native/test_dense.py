"""The compiled tower of linear layers against float64, on every instruction set, in fp32 and bf16."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from clickwise.native import kernels, precision, set_threads
from clickwise.native.dense import Layer, linear, tower
from clickwise.native.precision import Precision
from dropout_mask import dropout_mask

# Rows, then the widths of the layers. Slabs have 128 rows and chunks 2048; a last layer of up to 4 outputs is narrow.
SHAPES = [
    (1, (1, 1)),
    (1, (3, 7, 5)),
    (5, (33, 2, 17)),
    (31, (40, 4)),
    (130, (45, 65, 31, 1)),
    (257, (64, 48, 33, 5)),
    (128, (97, 16, 130)),
    (2100, (37, 35, 3)),
    (0, (5, 4, 1)),
    (0, (5, 4, 6)),
]
ROUNDING = {"fp32": 2e-6, "bf16": 1e-2}  # of the largest element; bf16 also rounds the activations between layers


def make(rows: int, widths: Sequence[int], relu_last: bool = False, dropout: float = 0.0) -> tuple[Tensor, list[Layer]]:
    generator = torch.Generator().manual_seed(rows + len(widths))
    layers = []
    for i, (k, n) in enumerate(pairwise(widths)):
        weight, bias = torch.randn(n, k, generator=generator) / k**0.5, torch.randn(n, generator=generator) * 0.3
        relu = relu_last or i < len(widths) - 2
        layers.append(Layer(weight.requires_grad_(), bias.requires_grad_(), relu, dropout if relu else 0.0))
    return torch.randn(rows, widths[0], generator=generator).requires_grad_(), layers


def parameters(layers: Sequence[Layer]) -> list[Tensor]:
    return [p for layer in layers for p in (layer.weight, layer.bias) if p is not None]


def gradients(y: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """y and the gradients of a fixed weighted sum of it."""
    weight = torch.linspace(-1, 2, max(y.numel(), 1), dtype=y.dtype)[: y.numel()].reshape(y.shape)
    return [y.detach(), *torch.autograd.grad((y * weight).sum(), inputs)]


def rounded(t: Tensor) -> Tensor:
    """To bf16 and back; a gradient passes as it is."""
    return t + (t.detach().to(torch.float32).to(torch.bfloat16).to(t.dtype) - t.detach())


def exact(x: Tensor, layers: Sequence[Layer], mode: Precision, keep: Sequence[Tensor] = ()) -> list[Tensor]:
    """The same in float64, with operands rounded as `mode` says; `keep`: dropout's factors, of each layer."""
    inputs = [t.detach().double().requires_grad_() for t in (x, *parameters(layers))]
    a, rest = inputs[0], inputs[1:]
    for i, layer in enumerate(layers):
        weight, bias = rest[2 * i], rest[2 * i + 1]
        narrow = i == len(layers) - 1 and len(weight) <= 4 and not layer.relu
        if mode == "bf16":
            a, weight = rounded(a), weight if narrow else rounded(weight)
        a = F.linear(a, weight, bias)
        a = F.relu(a) if layer.relu else a
        a = a * keep[i] if keep and layer.dropout else a
    return gradients(a, inputs)


def assert_near(got: Sequence[Tensor], want: Sequence[Tensor], rounding: float) -> None:
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape
        if g.numel():
            torch.testing.assert_close(g.double(), w, rtol=0, atol=rounding * max(float(w.abs().max()), 1e-3))


@pytest.mark.parametrize("mode", ["fp32", "bf16"])
@pytest.mark.parametrize(("rows", "widths"), SHAPES)
def test_against_float64(isa: str, rows: int, widths: tuple[int, ...], mode: Precision) -> None:
    for relu_last in (False, True):
        x, layers = make(rows, widths, relu_last)
        with precision.using(mode):
            y = tower(x, layers)
        assert_near(gradients(y, [x, *parameters(layers)]), exact(x, layers, mode), ROUNDING[mode])


@pytest.mark.parametrize("mode", ["fp32", "bf16"])
def test_inputs_that_no_cache_holds(isa: str, mode: Precision) -> None:
    """Over 32 MB of them are laid out past the caches for the gradient of W."""
    x, layers = make(1400, (12100, 3, 2))
    with precision.using(mode):
        y = tower(x, layers)
    assert_near(gradients(y, [x, *parameters(layers)]), exact(x, layers, mode), 3 * ROUNDING[mode])  # sums of 12,100


@pytest.mark.parametrize(("rows", "k", "n"), [(1, 1, 5), (33, 31, 64), (300, 100, 47), (129, 64, 3)])
def test_one_layer_in_bf16_is_the_product_of_rounded_operands(isa: str, rows: int, k: int, n: int) -> None:
    """With one layer nothing is rounded in between, so that fp32 accuracy is due."""
    x, (layer,) = make(rows, (k, n))
    grad = torch.randn(rows, n).to(torch.bfloat16).float()  # of a narrow layer it would not be rounded
    with precision.using("bf16"):
        y = linear(x, layer.weight, layer.bias)
    grad_x, grad_w, grad_b = torch.autograd.grad(y, [x, layer.weight, layer.bias], grad)
    a, w = (rounded(t.detach().double()) for t in (x, layer.weight))
    if n <= 4:
        w = layer.weight.detach().double()
    g = grad.double()
    want = [a @ w.T + layer.bias.detach(), g @ w, g.T @ a, g.sum(0)]
    assert_near([y.detach(), grad_x, grad_w, grad_b], want, 2e-6)


@pytest.mark.parametrize("mode", ["fp32", "bf16"])
def test_threads_do_not_change_a_bit(isa: str, mode: Precision) -> None:
    x, layers = make(2500, (70, 50, 33, 1), dropout=0.25)
    results = []
    before = kernels().threads()
    for threads in (1, 2, 5):
        set_threads(threads)
        torch.manual_seed(1)
        with precision.using(mode):
            results.append(gradients(tower(x, layers), [x, *parameters(layers)]))
    set_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def factors(seed: int, layer: int, rows: int, columns: int, p: float) -> Tensor:
    """What dropout multiplies by."""
    return torch.from_numpy(dropout_mask(seed, layer, rows, columns, float(np.float32(p))) / (1 - p))


@pytest.mark.parametrize("mode", ["fp32", "bf16"])
@pytest.mark.parametrize("relu_last", [False, True])
def test_dropout_keeps_what_its_hash_says(isa: str, mode: Precision, relu_last: bool) -> None:
    p, rows, widths = 0.3, 300, (20, 45, 33, 6)
    x, layers = make(rows, widths, relu_last, dropout=p)
    torch.manual_seed(7)
    seed = int(torch.randint(2**63 - 1, ()))
    torch.manual_seed(7)
    with precision.using(mode):
        got = gradients(tower(x, layers), [x, *parameters(layers)])
    keep = [factors(seed, i, rows, n, p) for i, n in enumerate(widths[1:])]
    assert_near(got, exact(x, layers, mode, keep), ROUNDING[mode])


def test_dropout_is_fair() -> None:
    keep = torch.cat([factors(seed, 1, 500, 400, 0.2) for seed in (1, 2**62)]) > 0
    assert abs(keep.double().mean() - 0.8) < 4 * (0.16 / keep.numel()) ** 0.5
    for axis in (0, 1):
        share = keep.double().mean(axis)
        assert float((share - 0.8).abs().max()) < 5 * (0.16 / keep.shape[axis]) ** 0.5
    neighbours = (keep[:, 1:] & keep[:, :-1]).double().mean(), (keep[1:] & keep[:-1]).double().mean()
    assert all(abs(float(n) - 0.64) < 0.005 for n in neighbours)


def test_only_what_is_asked_for_is_computed(isa: str) -> None:
    x, layers = make(140, (30, 20, 40, 1))
    everything = gradients(tower(x, layers), [x, *parameters(layers)])[1:]
    frozen = [layers[0].weight, layers[0].bias, layers[1].bias, x]
    for t in frozen:
        assert t is not None
        t.requires_grad_(False)
    asked = [layers[1].weight, layers[2].weight, layers[2].bias]
    got = gradients(tower(x, layers), [t for t in asked if t is not None])[1:]
    for g, i in zip(got, (3, 5, 6), strict=True):
        assert torch.equal(g, everything[i])
    with torch.no_grad():
        assert torch.equal(tower(x, layers), tower(x.clone().requires_grad_(), layers))


def test_backward_uses_the_precision_of_its_forward(isa: str) -> None:
    x, layers = make(64, (40, 30))
    with precision.using("bf16"):
        inside = gradients(tower(x, layers), [x])
        y = tower(x, layers)
    assert torch.equal(inside[1], gradients(y, [x])[1])
    assert not torch.equal(inside[1], gradients(tower(x, layers), [x])[1])


def test_nan_stays_visible(isa: str) -> None:
    x, layers = make(40, (33, 20, 18))
    with torch.no_grad():
        x[7, 3] = float("nan")
        for mode in ("fp32", "bf16"):
            with precision.using(mode):
                y = tower(x, layers)
            assert y[7].isnan().all() and not y[np.arange(40) != 7].isnan().any()


def test_shapes_are_checked() -> None:
    x, layers = make(4, (3, 5))
    with pytest.raises(ValueError, match=r"x is not \[B, K\]"):
        tower(x[:, :2], layers)
    with pytest.raises(ValueError, match="does not fit"):
        tower(x, [*layers, Layer(torch.zeros(2, 4), None)])
    with pytest.raises(ValueError, match="dropout without ReLU"):
        tower(x, [Layer(layers[0].weight, None, dropout=0.5)])


def test_precision_is_what_was_said() -> None:
    assert precision.current() == "fp32"
    with precision.using("bf16"):
        assert precision.current() == "bf16"
        with precision.using("fp32"):
            assert precision.current() == "fp32"
    assert precision.current() == "fp32"
    assert precision.resolve("bf16") == "bf16" and precision.resolve("fp32") == "fp32"


def test_auto_is_bf16_where_it_is_native(isa: str) -> None:
    assert precision.resolve("auto") == ("bf16" if isa in ("avx512_bf16", "amx") else "fp32")
