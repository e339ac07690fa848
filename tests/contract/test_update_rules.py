"""What every registered update rule must do, on dense parameters and on the touched rows of a table."""

from __future__ import annotations

import math

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.errors import ClickwiseError
from clickwise.layers import EmbeddingTable
from clickwise.optim import FTRL, SGD, Adagrad, Adam, Optimizer, RowwiseAdagrad, UpdateRule
from clickwise.registry import update_rules
from update_rule_configs import CONFIGS

every_rule = pytest.mark.parametrize("name", update_rules)


class Model(nn.Module):
    """A table of 9 rows (row 0 is padding) and a dense matrix, in float64."""

    def __init__(self, dim: int = 3, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.table = EmbeddingTable(9, dim, 0.0)
        self.matrix = nn.Parameter(torch.randn(4, 3, generator=generator))
        self.vector = nn.Parameter(torch.randn(5, generator=generator))
        self.double()
        with torch.no_grad():
            self.table.weight[1:] = torch.randn(8, dim, generator=generator)

    def tables(self) -> dict[str, EmbeddingTable]:
        return {"table.weight": self.table}


def loss_of(model: Model, ids: Tensor, coefficients: Tensor) -> Tensor:
    """A loss whose gradient of a looked-up slot is its coefficient [B, S, D]."""
    batch = Batch(ids, torch.zeros(len(ids), 0))
    return (model.table.lookup(batch) * coefficients).sum() + model.matrix.square().sum() + (model.vector**3).sum()


def steps(dim: int = 3, count: int = 7) -> list[tuple[Tensor, Tensor]]:
    """Ids with duplicates and padding in every batch, and coefficients."""
    rng = np.random.default_rng(3)
    ids = [rng.integers(0, 6 + i % 3, (6, 2)).astype(np.int32) for i in range(count)]
    return [(torch.from_numpy(i), torch.from_numpy(rng.normal(size=(6, 2, dim)))) for i in ids]


def train(model: Model, optimizer: Optimizer, batches: list[tuple[Tensor, Tensor]]) -> None:
    for ids, coefficients in batches:
        loss_of(model, ids, coefficients).backward()
        optimizer.step()


def summed(ids: Tensor, coefficients: Tensor) -> dict[int, np.ndarray]:
    """Gradient of each touched row, duplicates summed, padding left out."""
    gradients: dict[int, np.ndarray] = {}
    for row, part in zip(ids.flatten().tolist(), coefficients.flatten(0, 1).numpy(), strict=True):
        if row != 0:
            gradients[row] = gradients.get(row, 0.0) + part
    return gradients


class Adam64:
    def __init__(self, c: Adam.Config, dim: int) -> None:
        self.c, self.m, self.v = c, np.zeros((9, dim)), np.zeros((9, dim))

    def step(self, weight: np.ndarray, row: int, g: np.ndarray, t: int) -> None:
        c = self.c
        for d in range(len(g)):
            self.m[row, d] = c.beta1 * self.m[row, d] + (1 - c.beta1) * g[d]
            self.v[row, d] = c.beta2 * self.v[row, d] + (1 - c.beta2) * g[d] ** 2
            m, v = self.m[row, d] / (1 - c.beta1**t), self.v[row, d] / (1 - c.beta2**t)
            weight[row, d] -= c.learning_rate * m / (math.sqrt(v) + c.eps)


class Adagrad64:
    def __init__(self, c: Adagrad.Config, dim: int) -> None:
        self.c, self.n = c, np.full((9, dim), c.initial_accumulator)

    def step(self, weight: np.ndarray, row: int, g: np.ndarray, t: int) -> None:
        for d in range(len(g)):
            self.n[row, d] += g[d] ** 2
            weight[row, d] -= self.c.learning_rate * g[d] / (math.sqrt(self.n[row, d]) + self.c.eps)


class RowwiseAdagrad64:
    def __init__(self, c: RowwiseAdagrad.Config, dim: int) -> None:
        self.c, self.n = c, np.full(9, c.initial_accumulator)

    def step(self, weight: np.ndarray, row: int, g: np.ndarray, t: int) -> None:
        self.n[row] += sum(x**2 for x in g) / len(g)
        for d in range(len(g)):
            weight[row, d] -= self.c.learning_rate * g[d] / (math.sqrt(self.n[row]) + self.c.eps)


class FTRL64:
    """As the paper has it; a weight is what follows from z and n."""

    def __init__(self, c: FTRL.Config, dim: int) -> None:
        self.c, self.n, self.z = c, np.zeros((9, dim)), np.full((9, dim), np.nan)

    def step(self, weight: np.ndarray, row: int, g: np.ndarray, t: int) -> None:
        c, n, z = self.c, self.n[row], self.z[row]
        for d in range(len(g)):
            w = weight[row, d]
            if math.isnan(z[d]):  # the z that gives the initial weight
                z[d] = -w * (c.beta / c.learning_rate + c.l2) - np.sign(w) * c.l1
            sigma = (math.sqrt(n[d] + g[d] ** 2) - math.sqrt(n[d])) / c.learning_rate
            z[d] += g[d] - sigma * w
            n[d] += g[d] ** 2
            curvature = (c.beta + math.sqrt(n[d])) / c.learning_rate + c.l2
            weight[row, d] = 0.0 if abs(z[d]) <= c.l1 else -(z[d] - np.sign(z[d]) * c.l1) / curvature


class SGD64:
    def __init__(self, c: SGD.Config, dim: int) -> None:
        self.c = c

    def step(self, weight: np.ndarray, row: int, g: np.ndarray, t: int) -> None:
        for d in range(len(g)):
            weight[row, d] -= self.c.learning_rate * g[d]


LOOPS = {"adam": Adam64, "adagrad": Adagrad64, "rowwise_adagrad": RowwiseAdagrad64, "ftrl": FTRL64, "sgd": SGD64}


@every_rule
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("l2", [0.0, 0.07])
def test_touched_rows_equal_a_loop(name, dim, l2):
    """Duplicates are summed before they are squared, untouched rows and padding stay, l2 adds l2 * w."""
    model = Model(dim)
    weight = model.table.weight.numpy().copy()
    loop = LOOPS[name](CONFIGS[name], dim)
    for t, (ids, coefficients) in enumerate(steps(dim), 1):
        for row, gradient in summed(ids, coefficients).items():
            loop.step(weight, row, gradient + l2 * weight[row], t)
    train(model, Optimizer(model, SGD.Config(), CONFIGS[name], embedding_l2=l2), steps(dim))
    np.testing.assert_allclose(model.table.weight.numpy(), weight, rtol=1e-12, atol=1e-12)
    assert not model.table.weight[0].any()


@every_rule
def test_touched_rows_equal_all_rows_where_the_rule_says_so(name):
    rule_class: type[UpdateRule] = update_rules.get(name)
    rule = rule_class(CONFIGS[name])
    model = Model()
    everything = model.table.weight.clone()
    state = rule.init_state(everything)
    for ids, coefficients in steps():
        gradient = torch.zeros_like(everything)
        for row, part in summed(ids, coefficients).items():
            gradient[row] = torch.from_numpy(part)
        rule.update(everything, state, gradient, 1.0)
    train(model, Optimizer(model, CONFIGS[name]), steps())
    equal = torch.allclose(model.table.weight, everything, rtol=1e-12, atol=1e-12)
    assert equal == rule_class.sparse_equals_dense


TORCH = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.95), eps=1e-3),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.3, initial_accumulator_value=0.05, eps=1e-3),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.4),
}


@pytest.mark.parametrize("name", TORCH)
def test_dense_parameters_agree_with_torch(name):
    mine, theirs = Model(), Model()
    optimizer, peer = Optimizer(mine, CONFIGS[name]), TORCH[name]([theirs.matrix, theirs.vector])
    for ids, coefficients in steps():
        loss_of(mine, ids, coefficients * 0).backward()
        optimizer.step()
        peer.zero_grad()
        loss_of(theirs, ids, coefficients * 0).backward()
        peer.step()
    torch.testing.assert_close(mine.matrix, theirs.matrix, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mine.vector, theirs.vector, rtol=1e-12, atol=1e-12)


def test_adam_on_a_table_agrees_with_torch_sparse_adam():
    """With an epsilon too small to matter: the two add it on either side of a bias correction."""
    model = Model()
    weight = nn.Parameter(model.table.weight.clone())
    peer = torch.optim.SparseAdam([weight], lr=0.1, betas=(0.8, 0.95), eps=1e-15)
    for ids, coefficients in steps():
        peer.zero_grad()
        torch.nn.functional.embedding(ids.long(), weight, sparse=True).mul(coefficients).sum().backward()
        peer.step()
    config = Adam.Config(learning_rate=0.1, beta1=0.8, beta2=0.95, eps=1e-15)
    train(model, Optimizer(model, config), steps())
    torch.testing.assert_close(model.table.weight[1:], weight.data[1:], rtol=1e-9, atol=1e-9)


def test_rowwise_adagrad_is_adagrad_for_vectors_and_tables_of_width_one():
    models = [Model(dim=1), Model(dim=1)]
    for model, name in zip(models, ("adagrad", "rowwise_adagrad"), strict=True):
        train(model, Optimizer(model, CONFIGS[name]), steps(dim=1))
    torch.testing.assert_close(models[0].vector, models[1].vector, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(models[0].table.weight, models[1].table.weight, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(models[0].matrix, models[1].matrix)


def test_ftrl_without_penalties_is_adagrad():
    """w -= lr * g / (beta + sqrt(n)): McMahan et al. 2013, section 3.1."""
    models = [Model(), Model()]
    configs = (FTRL.Config(learning_rate=0.3, beta=0.2), Adagrad.Config(learning_rate=0.3, eps=0.2))
    for model, config in zip(models, configs, strict=True):
        train(model, Optimizer(model, config), steps())
    torch.testing.assert_close(models[0].matrix, models[1].matrix, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(models[0].table.weight, models[1].table.weight, rtol=1e-12, atol=1e-12)


def test_ftrl_with_l1_makes_weights_exactly_zero_and_lets_them_return():
    weight, grad = torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64), torch.tensor([1.0, 0.3, 0.0]).double()
    rule = FTRL(FTRL.Config(learning_rate=0.1, beta=0.5, l1=0.5))
    state = rule.init_state(weight)
    rule.update(weight, state, grad.clone(), 1.0)
    assert weight.tolist()[1:] == [0.0, 0.0] and weight[0] != 0
    rule.update(weight, state, grad.clone(), 1.0)  # 0.3 + 0.3 > l1
    assert weight[1] < 0 and weight[2] == 0


def test_ftrl_keeps_its_weights_when_the_learning_rate_changes():
    """The steps change, not what was reached: a step with almost no gradient leaves every weight where it is."""
    model = Model()
    optimizer = Optimizer(model, CONFIGS["ftrl"])
    train(model, optimizer, steps())
    before = model.table.weight.clone()
    optimizer.learning_rate_multiplier = 0.1
    train(model, optimizer, [(ids, coefficients * 1e-9) for ids, coefficients in steps()[:1]])
    torch.testing.assert_close(model.table.weight, before, rtol=1e-7, atol=1e-7)


@every_rule
def test_the_multiplier_scales_the_learning_rate(name):
    half = dict(CONFIGS)[name].__class__(
        **{k: getattr(CONFIGS[name], k) * (0.5 if k == "learning_rate" else 1) for k in CONFIGS[name].__slots__}
    )
    scaled, plain = Model(), Model()
    optimizer = Optimizer(scaled, CONFIGS[name])
    optimizer.learning_rate_multiplier = 0.5
    train(scaled, optimizer, steps())
    train(plain, Optimizer(plain, half), steps())
    torch.testing.assert_close(scaled.table.weight, plain.table.weight, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(scaled.matrix, plain.matrix, rtol=1e-12, atol=1e-12)


@every_rule
def test_resumes_exactly_from_a_file(name, tmp_path):
    whole, first = Model(), Model()
    optimizer = Optimizer(whole, CONFIGS[name], embedding_l2=0.01)
    optimizer.learning_rate_multiplier = 0.3
    train(whole, optimizer, steps())
    optimizer = Optimizer(first, CONFIGS[name], embedding_l2=0.01)
    optimizer.learning_rate_multiplier = 0.3
    train(first, optimizer, steps()[:4])
    safetensors.torch.save_file(optimizer.state_dict(), tmp_path / "state.safetensors")
    second = Model(seed=9)
    second.load_state_dict(first.state_dict())
    optimizer = Optimizer(second, CONFIGS[name], embedding_l2=0.01)
    optimizer.load_state_dict(safetensors.torch.load_file(tmp_path / "state.safetensors"))
    train(second, optimizer, steps()[4:])
    for key, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[key], tensor), key


def test_state_of_another_rule_is_refused():
    adam, sgd = Optimizer(Model(), CONFIGS["adam"]), Optimizer(Model(), CONFIGS["sgd"])
    with pytest.raises(ClickwiseError, match=r"does not fit: matrix\.mean"):
        sgd.load_state_dict(adam.state_dict())
    with pytest.raises(ClickwiseError, match=r"does not fit: table\.weight\.mean"):
        adam.load_state_dict(Optimizer(Model(dim=2), CONFIGS["adam"]).state_dict())


def test_clipping_scales_dense_and_table_gradients_by_their_joint_norm():
    model = Model()
    ids, coefficients = steps()[0]
    loss_of(model, ids, coefficients).backward()
    parts = [model.matrix.grad, model.vector.grad, *map(torch.from_numpy, summed(ids, coefficients).values())]
    norm = math.sqrt(sum(float(p.square().sum()) for p in parts))
    before = model.table.weight.clone(), model.matrix.detach().clone()
    expected_matrix = before[1] - model.matrix.grad * (0.5 / norm)
    Optimizer(model, SGD.Config(learning_rate=1.0)).step(clip_norm=0.5)
    torch.testing.assert_close(model.matrix.data, expected_matrix, rtol=1e-12, atol=1e-12)
    for row, gradient in summed(ids, coefficients).items():
        expected = before[0][row] - torch.from_numpy(gradient) * (0.5 / norm)
        torch.testing.assert_close(model.table.weight[row], expected, rtol=1e-12, atol=1e-12)


@every_rule
def test_learning_rates_that_are_none_are_refused(name):
    with pytest.raises(Exception, match=r"^learning_rate: got 0\.0, allowed is a number > 0"):
        type(CONFIGS[name])(learning_rate=0.0)
