"""Compiled cross networks against the papers' recursions in float64, and against torch's autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from clickwise.layers import CrossV1, CrossV2
from clickwise.native import kernels, precision, set_threads
from clickwise.native.dense import Layer, tower

# B, d, L. The kernels of version 2 go by slabs of 128 rows, chunks of 2048, and blocks of 160 columns of dW.
SIZES = [(0, 3, 2), (1, 1, 1), (2, 5, 3), (7, 16, 2), (257, 33, 3), (515, 100, 1), (300, 31, 5), (2100, 170, 2)]
sizes = pytest.mark.parametrize(("B", "d", "L"), SIZES)
Network = CrossV1 | CrossV2


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    yield
    set_threads(1)


def stirred(network: Network) -> Network:
    """With biases that are not zero and weights that let every layer matter but none explode."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            width = parameter.shape[-1]
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.5 / width**0.5))
            if parameter.dim() == 1:
                parameter.mul_(width**0.5)
    return network


def run(network: Network, x0: Tensor, grad: Tensor) -> list[Tensor]:
    """Output, gradient of the input, gradients of the parameters."""
    x0 = x0.clone().requires_grad_()
    network.zero_grad()
    out = network(x0)
    out.backward(grad)
    return [out.detach(), x0.grad, *(p.grad.clone() for p in network.parameters())]


def data(B: int, d: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(B)
    return torch.randn(B, d, generator=generator), torch.randn(B, d, generator=generator)


def assert_as_in_float64(
    network: Network, x0: Tensor, grad: Tensor, rounding: float = 1e-5, least: float = 1e-3
) -> None:
    """`rounding`: of the largest element, or of `least`."""
    found = run(network, x0, grad)
    wanted = run(
        network.double(), x0.double(), grad.double()
    )  # no kernel takes float64: torch's recursion and autograd
    for result, exact in zip(found, wanted, strict=True):
        assert result.dtype is torch.float32 and exact.dtype is torch.float64
        scale = exact.abs().max().item() if exact.numel() else 1.0
        torch.testing.assert_close(result.double(), exact, rtol=1e-5, atol=rounding * max(scale, least))


@sizes
def test_version_1(isa: str, B: int, d: int, L: int) -> None:
    assert_as_in_float64(stirred(CrossV1(d, L)), *data(B, d))


@pytest.mark.parametrize("rank", [None, 1, 4])
@sizes
def test_version_2(isa: str, B: int, d: int, L: int, rank: int | None) -> None:
    assert_as_in_float64(stirred(CrossV2(d, L, rank)), *data(B, d))
    with precision.using("bf16"):
        assert_as_in_float64(stirred(CrossV2(d, L, rank)), *data(B, d), rounding=2e-2, least=0.5)


@pytest.mark.parametrize("rank", [None, 3])
def test_gradients_that_nobody_asks_for_change_no_other(isa: str, rank: int | None) -> None:
    network = stirred(CrossV2(20, 3, rank))
    x0, grad = data(150, 20)
    wanted = dict(network.named_parameters())
    run(network, x0, grad)
    gradients = {name: p.grad.clone() for name, p in wanted.items()}
    for name, parameter in wanted.items():
        network.zero_grad()
        network.requires_grad_(False)
        parameter.requires_grad_()
        network(x0).backward(grad)
        assert torch.equal(parameter.grad, gradients[name])
        assert all(p.grad is None for other, p in wanted.items() if other != name)


def test_scores_are_those_of_training(isa: str) -> None:
    network = stirred(CrossV2(37, 3, 5))
    x0, _ = data(300, 37)
    for mode in ("fp32", "bf16"):
        with precision.using(mode):
            kept = network(x0)
            with torch.no_grad():
                assert torch.equal(network(x0), kept)


def test_gradients_that_are_strided_or_shared_are_left_alone(isa: str) -> None:
    x0, grad = data(40, 9)
    for network in (stirred(CrossV1(9, 3)), stirred(CrossV2(9, 3))):
        wanted = run(network, x0, grad)
        before = grad.clone()
        strided = torch.stack([grad, grad], 2)[:, :, 0], torch.stack([x0, x0], 2)[:, :, 0]
        for result, expected in zip(run(network, strided[1], strided[0]), wanted, strict=True):
            assert torch.equal(result, expected)
        assert torch.equal(grad, before)


@pytest.mark.parametrize("make", [lambda: CrossV1(50, 3), lambda: CrossV2(50, 3)], ids=["v1", "v2"])
def test_threads_change_nothing(isa: str, make: Callable[[], Network]) -> None:
    network = stirred(make())
    x0, grad = data(1100, 50)
    set_threads(1)
    wanted = run(network, x0, grad)
    for count in (2, 5):
        set_threads(count)
        for result, expected in zip(run(network, x0, grad), wanted, strict=True):
            assert torch.equal(result, expected)


def test_kernels_are_used(isa: str) -> None:
    """The other tests would pass without them."""
    for network, node in ((CrossV1(4, 2), "CrossV1NetworkBackward"), (CrossV2(4, 2), "TowerBackward")):
        assert type(network(torch.ones(3, 4)).grad_fn).__name__ == node


def test_shapes_are_checked(isa: str) -> None:
    x, array = torch.zeros(4, 3), torch.zeros(4, 3).numpy()
    with pytest.raises(ValueError, match=r"w or b is not \[L, d\]"):
        kernels().cross_v1_forward(array, array, torch.zeros(4, 2).numpy(), array, array, array[:, 0].copy())
    for links, layers, said in (
        (1, [(3, 3), (2, 3)], "a cross does not give what it takes"),
        (2, [(2, 3)], "the linear layers do not make whole crosses"),
        (3, [(3, 3)] * 3, "a cross is made of 1 or 2 linear layers"),
    ):
        with pytest.raises(ValueError, match=said):
            tower(x, [Layer(torch.zeros(size), None) for size in layers], links=links)
