"""Steps that do not touch a row: what is done late for it is what the dense rule does to all rows at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.errors import ConfigError
from clickwise.layers import EmbeddingTable
from clickwise.optim import SGD, Adam, Optimizer

ROWS, DIM, STEPS = 200, 3, 600
CONFIG = Adam.Config(learning_rate=0.01, beta1=0.8, beta2=0.98, eps=1e-12, every_row=True)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = EmbeddingTable(ROWS, DIM, 0.0)
        self.double()
        with torch.no_grad():
            self.table.weight[1:] = torch.randn(ROWS - 1, DIM, generator=torch.Generator().manual_seed(1))

    def tables(self) -> dict[str, EmbeddingTable]:
        return {"table.weight": self.table}


def ids_of(step: int) -> Tensor:
    """Few rows: most of the table is not touched, some rows never are."""
    drawn = torch.randint(1, ROWS - 20, (4, 2), generator=torch.Generator().manual_seed(step))
    return drawn.int()


def target(rows: Tensor) -> Tensor:
    return torch.sin(rows.double()).unsqueeze(-1) * torch.arange(1, DIM + 1)


def run(model: Model, optimizer: Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        batch = Batch(ids_of(step), torch.zeros(4, 0))
        optimizer.catch_up(batch.distinct_of((0, 2)).rows)
        (model.table.lookup(batch) - target(batch.sparse)).square().sum().backward()
        optimizer.step()


def dense() -> Tensor:
    weight = nn.Parameter(Model().table.weight.clone())
    peer = torch.optim.Adam([weight], lr=0.01, betas=(0.8, 0.98), eps=1e-12)
    for step in range(STEPS):
        ids = ids_of(step).long()
        peer.zero_grad()
        (weight[ids] - target(ids)).square().sum().backward()
        peer.step()
    return weight.detach()


def test_equals_adam_on_the_whole_table() -> None:
    model, start = Model(), Model().table.weight
    optimizer = Optimizer(model, SGD.Config(), CONFIG)
    assert optimizer.defers
    run(model, optimizer, 0, STEPS)
    stale = model.table.weight.clone()
    optimizer.settle()
    expected, found = dense(), model.table.weight
    moved = (expected - start).norm()
    assert (found - expected).norm() < 0.01 * moved  # bias corrections differ in the first steps
    assert (stale - expected).norm() > 0.02 * moved  # some rows were late
    assert torch.equal(found[-20:], start[-20:]) and not found[0].any()
    plain = Model()
    run(plain, Optimizer(plain, SGD.Config(), Adam.Config(learning_rate=0.01, beta1=0.8, beta2=0.98)), 0, STEPS)
    assert (plain.table.weight - expected).norm() > 0.2 * moved
    settled = found.clone()
    optimizer.settle()
    assert torch.equal(settled, found)


def test_goes_on_from_its_state_to_the_same_bits() -> None:
    whole, first, second = Model(), Model(), Model()
    optimizer, before, after = (Optimizer(m, SGD.Config(), CONFIG) for m in (whole, first, second))
    run(whole, optimizer, 0, 40)
    run(first, before, 0, 20)
    second.load_state_dict(first.state_dict())
    after.load_state_dict({name: tensor.clone() for name, tensor in before.state_dict().items()})
    run(second, after, 20, 40)
    assert torch.equal(whole.table.weight, second.table.weight)
    assert all(
        torch.equal(a, b) for a, b in zip(optimizer.state_dict().values(), after.state_dict().values(), strict=True)
    )


def test_moments_must_settle() -> None:
    with pytest.raises(ConfigError, match="beta2"):
        Adam.Config(beta1=0.99, beta2=0.9, every_row=True)
