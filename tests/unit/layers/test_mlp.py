"""The multi-layer perceptron: compiled layers and torch's give the same, and its parameters are torch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clickwise import native
from clickwise.layers import MLP
from clickwise.layers.dense import linear
from clickwise.native import precision
from clickwise.native.precision import Precision


def use_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clickwise.native.tensors.tier", lambda: native.Tier.TORCH)


def step(mlp: MLP, x: Tensor) -> list[Tensor]:
    """The result and all gradients."""
    x = x.clone().requires_grad_()
    y = mlp(x)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *mlp.parameters()])]


@pytest.mark.parametrize(("mode", "rounding"), [("fp32", 1e-5), ("bf16", 0.1)])  # in bf16 some ReLU turn
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("out_dim", [None, 1, 7])
def test_compiled_is_as_torch(
    monkeypatch: pytest.MonkeyPatch, mode: Precision, rounding: float, batch_norm: bool, out_dim: int | None
) -> None:
    torch.manual_seed(0)
    mlp = MLP(21, (40, 33), batch_norm=batch_norm, out_dim=out_dim)
    x = torch.randn(150, 21)
    with precision.using(mode):
        got = step(mlp, x)
        use_torch(monkeypatch)
        want = step(mlp, x)
    for g, w in zip(got, want, strict=True):
        assert g.dtype is w.dtype is torch.float32
        assert float((g - w).norm()) <= rounding * max(float(w.norm()), 1e-2)


@pytest.mark.parametrize("tier", ["compiled", "torch"])
def test_bf16_differs_from_fp32_and_little(monkeypatch: pytest.MonkeyPatch, tier: str) -> None:
    if tier == "torch":
        use_torch(monkeypatch)
    torch.manual_seed(0)
    mlp, x = MLP(21, (40,), out_dim=1), torch.randn(50, 21)
    full = mlp(x)
    with precision.using("bf16"):
        half = mlp(x)
    assert not torch.equal(full, half)
    torch.testing.assert_close(full, half, rtol=0, atol=0.03)


def test_parameters_are_those_of_torch_modules() -> None:
    names = list(MLP(3, (4, 5), batch_norm=False, out_dim=1).state_dict())
    assert names == ["hidden.0.weight", "hidden.0.bias", "hidden.1.weight", "hidden.1.bias", "out.weight", "out.bias"]


def test_dropout_repeats_with_the_generator_and_rests_when_scoring() -> None:
    torch.manual_seed(0)
    mlp, x = MLP(8, (64, 32), dropout=0.5, out_dim=1), torch.randn(20, 8)
    torch.manual_seed(3)
    first, second = mlp(x), mlp(x)
    torch.manual_seed(3)
    assert torch.equal(first, mlp(x)) and not torch.equal(first, second)
    mlp.eval()
    assert torch.equal(mlp(x), mlp(x))


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_small_batches(rows: int) -> None:
    for batch_norm in (False, True):
        mlp = MLP(5, (6,), batch_norm=batch_norm, out_dim=1).train(rows > 0)
        assert mlp(torch.randn(rows, 5)).shape == (rows, 1)


def test_without_layers_it_is_the_identity() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(MLP(4, ())(x), x)


def test_linear_takes_other_types() -> None:
    x, w = torch.randn(3, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    torch.testing.assert_close(linear(x, w), x @ w.T)
