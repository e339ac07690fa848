"""Compiled update rules against their torch form, which the contract tests hold against float64 loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from clickwise.batch import Batch
from clickwise.layers import EmbeddingTable
from clickwise.native import Tier, kernels, set_threads
from clickwise.optim import SGD, Optimizer
from clickwise.optim.rule import CompiledStep
from clickwise.registry import update_rules
from kernel_tiers import kernel_tier
from update_rule_configs import CONFIGS

every_rule = pytest.mark.parametrize("name", update_rules)
V = 700


class Model(nn.Module):
    """A table, and dense parameters of every shape; each row of the table starts on its own."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(dim)
        self.table = EmbeddingTable(V, dim, 0.0)
        self.table.weight[1:] = torch.randn(V - 1, dim, generator=generator)
        shapes = {"scalar": (), "vector": (5,), "matrix": (7, 19), "wide": (3, 9000), "cube": (3, 4, 5), "none": (0, 4)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape, generator=generator)))

    def tables(self) -> dict[str, EmbeddingTable]:
        return {"table.weight": self.table}


def trained(name: str, dim: int, l2: float, tier: Tier, threads: int = 2, steps: int = 4) -> dict[str, torch.Tensor]:
    """Weights and state after some steps; a step is far from the last bit of any rule, and a third of ids repeat."""
    rng = np.random.default_rng(3)
    model = Model(dim)
    optimizer = Optimizer(model, CONFIGS[name], embedding_l2=l2)
    optimizer.learning_rate_multiplier = 0.7
    set_threads(threads)
    with kernel_tier(tier):
        for _ in range(steps):
            ids = torch.from_numpy(rng.integers(0, V, (300, 2)).astype(np.int32))
            outer = torch.from_numpy(rng.normal(size=(300, 2, dim)).astype(np.float32))
            loss = (model.table.lookup(Batch(ids, torch.zeros(300, 0))) * outer).sum()
            for name_, p in model.named_parameters():
                if p.requires_grad:
                    loss = loss + (p.square() * (1 if name_ != "matrix" else p)).sum()
            loss.backward()
            optimizer.step(clip_norm=50.0)
    return {**model.state_dict(), **optimizer.state_dict()}


@every_rule
@pytest.mark.parametrize(("dim", "l2"), [(1, 0.0), (3, 0.07), (8, 0.0), (16, 0.07), (21, 0.0), (32, 0.0), (64, 0.07)])
def test_compiled_equals_torch(isa, name, dim, l2):
    expected = trained(name, dim, l2, Tier.TORCH)
    found = trained(name, dim, l2, Tier.EMBEDDINGS)
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, rtol=2e-5, atol=2e-5, msg=lambda m, k=key: f"{k}: {m}")
    assert not found["table.weight"][0].any()


@every_rule
def test_the_same_bits_for_any_number_of_threads(isa, name):
    before = kernels().threads()
    results = [trained(name, 16, 0.01, Tier.EMBEDDINGS, threads) for threads in (1, 2, 5)]
    set_threads(before)
    for other in results[1:]:
        assert all(torch.equal(results[0][key], other[key]) for key in other)


@every_rule
def test_a_rule_says_its_compiled_form_or_that_it_has_none(name, isa):
    rule = update_rules.get(name)(CONFIGS[name])
    weight = torch.zeros(3, 2)
    state = rule.init_state(weight)
    step = rule.compiled_step(state, 1.0)
    assert isinstance(step, CompiledStep)
    kernels().update(
        step.kernel,
        step.scalars,
        weight.numpy(),
        [s.view(-1).numpy() for s in step.state],
        None,
        np.ones((3, 2), np.float32),
        0.0,
    )
    assert weight.all()


class Own(SGD):
    """A user's rule: no compiled form."""

    def compiled_step(self, state, scale):
        return None


def test_a_rule_without_a_compiled_form_runs_in_torch(isa):
    model = Model(4)
    optimizer = Optimizer(model, SGD.Config(learning_rate=1.0))
    optimizer._rule = optimizer._table_rule = Own(SGD.Config(learning_rate=1.0))
    before = model.table.weight.clone()
    model.table.lookup(Batch(torch.tensor([[2, 2]], dtype=torch.int32), torch.zeros(1, 0))).sum().backward()
    optimizer.step()
    assert torch.equal(before[2] - 2, model.table.weight[2])


def test_ftrl_leaves_what_has_no_gradient(isa):
    weight = torch.tensor([[0.5, -0.25, 0.0]])
    z, n = torch.zeros(3), torch.zeros(3)
    arrays = weight.numpy(), [z.numpy(), n.numpy()]
    kernels().update("ftrl", (10.0, 1e-3, 0.0, 0.0), *arrays, None, np.zeros((1, 3), np.float32), 0.0)
    assert weight.tolist() == [[0.5, -0.25, 0.0]] and not z.any() and not n.any()


def test_what_is_given_is_checked(isa):
    w, k = np.zeros((4, 3), np.float32), kernels()
    with pytest.raises(ValueError, match="no update rule lion"):
        k.update("lion", (0.1,), w, [], None, w, 0.0)
    with pytest.raises(ValueError, match="another number of scalars"):
        k.update("sgd", (0.1, 0.2), w, [], None, w, 0.0)
    with pytest.raises(ValueError, match="another number of states"):
        k.update("adagrad", (0.1, 0.2), w, [], None, w, 0.0)
    with pytest.raises(ValueError, match="state is not"):
        k.update("adagrad", (0.1, 0.2), w, [np.zeros(4, np.float32)], None, w, 0.0)
    with pytest.raises(ValueError, match=r"grad is not \[U, D\]"):
        k.update("sgd", (0.1,), w, [], np.array([1, 2], np.int32), w, 0.0)
    with pytest.raises(IndexError):
        k.update("sgd", (0.1,), w, [], np.array([1, 4], np.int32), w[:2], 0.0)
