"""Compiled batch normalisation, ReLU and dropout against float64, torch's autograd and a naive hash."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from clickwise.layers.batch_norm import BatchNormReLU
from clickwise.native import kernels, set_threads
from clickwise.native.norm import Dropout, NormReLU, moments
from dropout_mask import dropout_mask

SIZES = [(1, 1), (2, 3), (63, 17), (64, 16), (65, 64), (200, 65), (131, 129)]  # B, N
sizes = pytest.mark.parametrize(("B", "N"), SIZES)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    yield
    set_threads(1)


def keeps(dropout: Dropout, B: int, N: int) -> np.ndarray:
    """Which activations stay."""
    return dropout_mask(dropout.seed, dropout.layer, B, N, dropout.share)


def layer(N: int) -> BatchNormReLU:
    generator = torch.Generator().manual_seed(N)
    norm = BatchNormReLU(N)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(N, generator=generator))
        norm.bias.copy_(torch.randn(N, generator=generator) * 0.3)
        norm.running_mean.copy_(torch.randn(N, generator=generator))
        norm.running_var.copy_(torch.rand(N, generator=generator) + 0.2)
    return norm


def data(B: int, N: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(B)
    return torch.randn(B, N, generator=generator) * 2 + 1, torch.randn(B, N, generator=generator)


def run(norm: BatchNormReLU, z: Tensor, grad: Tensor) -> list[Tensor]:
    """Output, gradients of the input and the parameters, running statistics."""
    z = z.clone().requires_grad_()
    norm.zero_grad()
    y = norm(z)
    y.backward(grad)
    return [y.detach(), z.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]


def assert_close(found: Tensor, exact: Tensor) -> None:
    scale = exact.abs().max().item() if exact.numel() else 1.0
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5 * max(scale, 0.1))


@pytest.mark.parametrize("training", [True, False])
@sizes
def test_against_torch_in_float64(isa: str, B: int, N: int, training: bool) -> None:
    z, grad = data(B, N)
    norm, exact = layer(N).train(training), layer(N).double().train(training)
    for found, wanted in zip(run(norm, z, grad), run(exact, z.double(), grad.double()), strict=True):
        assert found.dtype is torch.float32
        assert_close(found, wanted)
    assert norm.num_batches_tracked == exact.num_batches_tracked == (training and B > 1)


def test_rows_of_nothing(isa: str) -> None:
    for training in (True, False):
        y, grad_z, *rest = run(layer(5).train(training), *data(0, 5))
        assert y.shape == grad_z.shape == (0, 5)
        assert all(bool(t.isfinite().all()) for t in rest)


def test_moments_of_numbers_far_from_zero(isa: str) -> None:
    z = (torch.randn(1000, 33, dtype=torch.float64) + 3000).float()
    mean, variance = moments(z)
    torch.testing.assert_close(mean.double(), z.double().mean(0), rtol=1e-7, atol=0)
    torch.testing.assert_close(variance.double(), z.double().var(0, unbiased=False), rtol=1e-5, atol=0)


@sizes
def test_dropout(isa: str, B: int, N: int) -> None:
    z, grad = data(B, N)
    norm, dropout = layer(N), Dropout(0.3, seed=2**62 + 12345, layer=2)
    mean, variance = (norm.running_mean, norm.running_var) if B == 1 else moments(z)
    z.requires_grad_()
    y = NormReLU.apply(z, norm.weight, norm.bias, mean, variance, B > 1, norm.eps, dropout)
    y.backward(grad)

    exact, weight, bias = (t.detach().double().requires_grad_() for t in (z, norm.weight, norm.bias))
    running = norm.running_mean.double(), norm.running_var.double()
    wanted = F.relu(F.batch_norm(exact, *running, weight, bias, training=B > 1, eps=norm.eps))
    wanted = wanted * torch.from_numpy(keeps(dropout, B, N)) / 0.7
    wanted.backward(grad.double())
    pairs = [(y, wanted), (z.grad, exact.grad), (norm.weight.grad, weight.grad), (norm.bias.grad, bias.grad)]
    for found, expected in pairs:
        assert_close(found.detach(), expected.detach())


def test_dropout_is_even_over_rows_and_columns_and_never_twice_the_same(isa: str) -> None:
    def kept(dropout: Dropout) -> Tensor:
        ones = torch.ones(500)
        return NormReLU.apply(torch.ones(2000, 500), ones, ones, 0 * ones, ones, False, 0.0, dropout) > 0

    one = kept(Dropout(0.25, seed=7))
    for share, rows in ((one.float().mean(0), 2000), (one.float().mean(1), 500)):
        assert abs(share - 0.75).max() < 5 * (0.75 * 0.25 / rows) ** 0.5
    for other in (kept(Dropout(0.25, seed=8)), kept(Dropout(0.25, 7, layer=1)), one.roll(1, 0), one.roll(1, 1)):
        both = (one & other).float().mean()
        assert abs(both - 0.75**2) < 0.005  # independent


def test_dropout_only_in_training_and_from_torchs_generator(isa: str) -> None:
    norm, z = layer(40), data(64, 40)[0]
    torch.manual_seed(1)
    first, second = norm(z, 0.5), norm(z, 0.5)
    torch.manual_seed(1)
    assert torch.equal(norm(z, 0.5), first)
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    assert torch.equal(norm.eval()(z, 0.5), norm(z))
    assert torch.equal(torch.get_rng_state(), state)


def test_threads_change_nothing(isa: str) -> None:
    def results(threads: int) -> list[Tensor]:
        set_threads(threads)
        return run(layer(150), *data(1000, 150))

    wanted = results(1)
    for count in (2, 5):
        assert all(torch.equal(a, b) for a, b in zip(results(count), wanted, strict=True))


def test_nan_is_not_hidden(isa: str) -> None:
    z = torch.ones(3, 20)
    z[1, 2] = z[1, 19] = float("nan")
    assert torch.equal(layer(20).eval()(z).isnan(), z.isnan())


def test_the_gradient_uses_the_statistics_of_its_own_forward_pass(isa: str) -> None:
    norm, (z, grad) = layer(8).eval(), data(10, 8)
    wanted = run(norm, z, grad)[1]
    z.requires_grad_()
    y = norm(z)
    norm.train()(z * 5)  # moves the running statistics
    y.backward(grad)
    assert torch.equal(z.grad, wanted)


def test_names_of_the_state_are_those_of_torch() -> None:
    assert layer(3).state_dict().keys() == torch.nn.BatchNorm1d(3).state_dict().keys()


def test_shapes_are_checked(isa: str) -> None:
    z, n = np.zeros((4, 3), np.float32), np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="no rows"):
        kernels().norm_moments(z[:0], n, n)
    with pytest.raises(ValueError, match="share"):
        kernels().norm_forward(z, n, n, n, n, 1e-5, 1.0, 0, 0, z)
    with pytest.raises(ValueError, match=r"is not \[N\]"):
        kernels().norm_forward(z, n[:2], n, n, n, 1e-5, 0.0, 0, 0, z)
