"""Decoupled decay of tables: what is done late for touched rows is what the dense rule does to all rows at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clickwise.errors import ConfigError
from clickwise.losses import binary_cross_entropy
from clickwise.models import FM, LR, build_model
from clickwise.optim import SGD, Adagrad, Optimizer, ParameterGroup
from model_inputs import SPECS, make_batch

SPEC, RATE, DECAY = SPECS["plain"], 0.5, 0.2
MULTIPLIERS = (1.0, 0.7, 0.1, 0.9, 0.3, 1.0)


def run(model, optimizer, steps, first=0):
    for step in range(first, first + steps):
        batch = make_batch(SPEC, 3, seed=step)  # few rows: most of the table is not touched
        optimizer.catch_up(batch.distinct_of(SPEC.slot_starts()).rows)
        loss = binary_cross_entropy(model(batch), batch.label)
        loss.backward()
        optimizer.learning_rate_multiplier = MULTIPLIERS[step]
        optimizer.step()


def test_equals_decay_of_every_row_at_every_step() -> None:
    model = build_model(LR.Config(), SPEC, 1)
    table = model.linear.ids.table.weight
    with torch.no_grad():
        table[1:] = torch.randn(table[1:].shape, generator=torch.Generator().manual_seed(1))
    weight, bias = table.double().numpy()[:, 0].copy(), 0.0
    optimizer = Optimizer(model, SGD.Config(learning_rate=RATE), embedding_decay=DECAY)
    run(model, optimizer, len(MULTIPLIERS))
    stale = table.detach().clone()
    optimizer.settle()
    for step, multiplier in enumerate(MULTIPLIERS):
        batch = make_batch(SPEC, 3, seed=step)
        ids, label = batch.sparse.numpy(), batch.label.numpy()
        error = (1.0 / (1.0 + np.exp(-(bias + weight[ids].sum(1)))) - label) / len(ids)
        weight *= 1.0 - multiplier * RATE * DECAY
        for row, e in zip(ids, error, strict=True):
            for i in row:
                weight[i] -= multiplier * RATE * e
        bias -= multiplier * RATE * error.sum()
    np.testing.assert_allclose(table.numpy()[:, 0], weight, rtol=2e-6, atol=1e-7)
    assert not torch.equal(stale, table)  # some rows were late
    settled = table.clone()
    optimizer.settle()
    assert torch.equal(settled, table)


def test_goes_on_from_its_state_to_the_same_bits() -> None:
    def fresh():
        model = build_model(FM.Config(embedding_dim=4), SPEC, 2)
        return model, Optimizer(model, Adagrad.Config(learning_rate=RATE), embedding_decay=DECAY)

    whole, optimizer = fresh()
    run(whole, optimizer, 6)
    first, before = fresh()
    run(first, before, 3)
    second, after = fresh()
    second.load_state_dict(first.state_dict())
    after.load_state_dict({name: tensor.clone() for name, tensor in before.state_dict().items()})
    run(second, after, 3, first=3)
    optimizer.settle()
    after.settle()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_a_group_decays_a_dense_parameter_before_its_update() -> None:
    model = build_model(LR.Config(), SPECS["with_dense"], 1)
    with torch.no_grad():
        model.linear.dense.copy_(torch.tensor([2.0, -4.0]))
    group = ParameterGroup(parameters="linear.dense", decay=DECAY)
    optimizer = Optimizer(model, SGD.Config(learning_rate=RATE), groups=[group])
    model.linear.dense.grad = torch.tensor([1.0, 0.0])
    optimizer.learning_rate_multiplier = 0.5
    optimizer.step()
    kept = 1.0 - 0.5 * RATE * DECAY
    torch.testing.assert_close(model.linear.dense.data, torch.tensor([2.0 * kept - 0.5 * RATE, -4.0 * kept]))


def test_nothing_may_be_left_of_a_weight() -> None:
    model = build_model(LR.Config(), SPEC, 1)
    optimizer = Optimizer(model, SGD.Config(learning_rate=RATE), embedding_decay=2.0)
    with pytest.raises(ConfigError, match=r"decay: got 2\.0, allowed is below 1 / learning rate, 2"):
        run(model, optimizer, 1)
