"""Compiled cross networks against the papers' recursions in float64, and against torch's autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from clickwise.layers import CrossV1, CrossV2
from clickwise.native import kernels, set_threads

SIZES = [(0, 3, 2), (1, 1, 1), (2, 5, 3), (7, 16, 2), (257, 33, 3), (515, 100, 1), (300, 31, 5)]  # B, d, L
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


def assert_as_in_float64(network: Network, x0: Tensor, grad: Tensor) -> None:
    found = run(network, x0, grad)
    wanted = run(
        network.double(), x0.double(), grad.double()
    )  # no kernel takes float64: torch's recursion and autograd
    for result, exact in zip(found, wanted, strict=True):
        assert result.dtype is torch.float32 and exact.dtype is torch.float64
        scale = exact.abs().max().item() if exact.numel() else 1.0
        torch.testing.assert_close(result.double(), exact, rtol=1e-5, atol=1e-5 * max(scale, 1e-3))


@sizes
def test_version_1(isa: str, B: int, d: int, L: int) -> None:
    assert_as_in_float64(stirred(CrossV1(d, L)), *data(B, d))


@pytest.mark.parametrize("rank", [None, 1, 4])
@sizes
def test_version_2(isa: str, B: int, d: int, L: int, rank: int | None) -> None:
    assert_as_in_float64(stirred(CrossV2(d, L, rank)), *data(B, d))


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
    for network in (CrossV1(4, 2), CrossV2(4, 2)):
        assert "Network" in type(network(torch.ones(3, 4)).grad_fn).__name__


def test_shapes_are_checked(isa: str) -> None:
    x = torch.zeros(4, 3).numpy()
    with pytest.raises(ValueError, match=r"w or b is not \[L, d\]"):
        kernels().cross_v1_forward(x, x, torch.zeros(4, 2).numpy(), x, x, x[:, 0].copy())
    with pytest.raises(ValueError, match=r"x, u or out is not \[B, d\]"):
        kernels().cross_v2_forward(x, x, x[:3], x)
