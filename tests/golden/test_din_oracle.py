"""DIN and Dice against the paper's formulas, in naive float64 loops, one row and one entry at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from clickwise.batch import Batch
from clickwise.errors import ConfigError
from clickwise.layers.dice import Dice
from clickwise.losses import binary_cross_entropy
from clickwise.models import DIN, build_model
from clickwise.native import Tier
from clickwise.optim import SGD, Optimizer
from clickwise.schema import Field, InputSpec
from kernel_tiers import kernel_tier
from model_inputs import SPECS, make_batch
from oracle_rows import batch64, build, expected, perceptron, vectors_of

D = 4
CONFIG = {"embedding_dim": D, "attention_hidden_dims": (6, 5), "hidden_dims": (5, 4)}
ONE = InputSpec(
    fields=(
        Field(name="item", num_ids=9),
        Field(name="first", num_ids=9, shares="item"),
        Field(name="site", num_ids=9, length=2, pooling="none"),
        Field(name="shop", num_ids=5),
        Field(name="shops", num_ids=5, length=5, pooling="sum", shares="shop"),
    )
)


def slots_of(spec: InputSpec) -> dict[str, range]:
    start, found = 0, {}
    for field in spec.fields:
        found[field.name] = range(start, start + field.length)
        start += field.length
    return found


def dice(weights, prefix: str, s: np.ndarray) -> np.ndarray:
    mean, variance = weights[f"{prefix}.norm.running_mean"], weights[f"{prefix}.norm.running_var"]
    out = []
    for i, value in enumerate(s):
        p = 1 / (1 + np.exp(-(value - mean[i]) / np.sqrt(variance[i] + 1e-8)))
        out.append(p * value + (1 - p) * weights[f"{prefix}.alpha"][i] * value)
    return np.array(out)


def dice_perceptron(weights, prefix: str, x: np.ndarray) -> np.ndarray:
    layer = 0
    while f"{prefix}.hidden.{layer}.weight" in weights:
        s = weights[f"{prefix}.hidden.{layer}.weight"] @ x + weights[f"{prefix}.hidden.{layer}.bias"]
        x = dice(weights, f"{prefix}.norms.{layer}", s)
        layer += 1
    return weights[f"{prefix}.out.weight"] @ x + weights[f"{prefix}.out.bias"]


def din(softmax: bool, mlp=perceptron):
    def formula(weights, spec, ids, dense, slot_weights):
        table = weights["embedding.table.weight"]
        own = InputSpec(fields=tuple(f for f in spec.fields if not f.shares and not f.cross), dense=spec.dense)
        slots = slots_of(spec)
        mine = [slot for field in own.fields for slot in slots[field.name]]
        vectors = vectors_of(table, own, ids[mine], slot_weights[mine])
        where, at = {}, 0
        for field in own.fields:
            where[field.name] = at
            at += field.num_vectors
        attended = []
        for field in (f for f in spec.fields if f.shares):
            t = vectors[where[field.shares]]
            entries = [slot_weights[s] * table[ids[s]] for s in slots[field.name] if ids[s] != 0]
            prefix = f"attention.{len(attended)}.mlp"
            scores = [float(mlp(weights, prefix, np.concatenate([k, t, k - t, k * t]))[0]) for k in entries]
            if softmax:
                powers = [np.exp(score) for score in scores]
                scores = [power / sum(powers) for power in powers]
            total = np.zeros(D)
            for score, k in zip(scores, entries, strict=True):
                total = total + score * k
            attended.append(total)
        return mlp(weights, "mlp", np.concatenate([*vectors, *attended, dense]))

    return formula


@pytest.mark.parametrize("spec", [SPECS["sequences"], ONE], ids=["sequences", "one"])
@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("activation", ["relu", "dice"])
def test_din(spec: InputSpec, softmax: bool, activation: str) -> None:
    model = build(DIN.Config(**CONFIG, softmax=softmax, activation=activation), spec)
    generator = torch.Generator().manual_seed(4)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand(buffer.shape, generator=generator, dtype=torch.float64) + 0.5)
    batch = batch64(spec, 40)
    formula = din(softmax, dice_perceptron if activation == "dice" else perceptron)
    wanted = expected(model, spec, batch, formula)
    torch.testing.assert_close(model(batch).detach(), wanted)
    model.attention[-1].mlp.out.weight.data *= 2.0  # attention is part of what is compared
    assert not torch.allclose(model(batch).detach(), wanted)


def test_dice_in_training_takes_the_statistics_of_the_batch() -> None:
    layer = Dice(3).double()
    with torch.no_grad():
        layer.alpha.copy_(torch.tensor([0.5, -1.0, 0.0]))
    s = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 1
    x = s.numpy()
    p = 1 / (1 + np.exp(-(x - x.mean(0)) / np.sqrt(x.var(0) + 1e-8)))
    wanted = p * x + (1 - p) * layer.alpha.detach().numpy() * x
    np.testing.assert_allclose(layer(s).detach().numpy(), wanted, rtol=1e-12)
    np.testing.assert_allclose(layer.norm.running_mean, 0.1 * x.mean(0), rtol=1e-12)
    frozen = layer.norm.running_mean.clone()
    for rows in (0, 1):  # no variance
        assert torch.isfinite(layer(s[:rows])).all()
    assert torch.equal(layer.norm.running_mean, frozen)


@pytest.mark.parametrize("more", [{}, {"softmax": True}, {"activation": "dice"}], ids=str)
def test_padding_has_no_influence_in_training_or_evaluation(more: dict) -> None:
    """The same rows with wider fields, all of it padding: the same logits and gradients, statistics included."""
    spec, batch = SPECS["sequences"], make_batch(SPECS["sequences"], 30)
    wide = InputSpec(
        fields=tuple(dataclasses.replace(f, length=f.length + 3) if f.shares else f for f in spec.fields),
        dense=spec.dense,
    )
    columns, weights = [], []
    for field, slots in spec.slots():
        extra = 3 if field.shares else 0
        columns.append(torch.nn.functional.pad(batch.sparse[:, slots], (0, extra)))
        weights.append(torch.nn.functional.pad(batch.slot_weight[:, slots], (0, extra), value=9.0))
    padded = Batch(torch.cat(columns, 1), batch.dense, torch.cat(weights, 1), batch.label)
    results = []
    for inputs, rows in ((spec, batch), (wide, padded)):
        model = build_model(DIN.Config(**CONFIG, **more), inputs, 3)
        with torch.no_grad():
            model.embedding.table.weight.mul_(50.0)
        logit = model.train()(rows)
        binary_cross_entropy(logit, rows.label).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        _, of_rows = model.embedding.table.take_gradients()
        results.append([logit, *gradients, of_rows.sort(0).values, model.eval()(rows)])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_batch_without_any_history_is_scored_and_trains() -> None:
    spec = SPECS["sequences"]
    batch = make_batch(spec, 5)
    for field, slots in spec.slots():
        if field.shares:
            batch.sparse[:, slots] = 0
    for more in ({}, {"softmax": True}, {"activation": "dice"}):
        model = build_model(DIN.Config(**CONFIG, **more), spec, 3)
        optimizer = Optimizer(model, SGD.Config(learning_rate=0.1))
        binary_cross_entropy(model(batch), batch.label).backward()
        optimizer.step()
        assert all(torch.isfinite(p).all() for p in model.parameters())
        assert torch.isfinite(model.eval()(batch)).all()


@pytest.mark.parametrize("tier", [Tier.TORCH, Tier.EMBEDDINGS, Tier.DENSE], ids=lambda tier: tier.name)
def test_a_step_sums_the_gradients_of_an_item_as_target_and_in_the_history(tier: Tier) -> None:
    """One step of SGD equals that on a dense table, where autograd adds up all uses of a row."""
    with kernel_tier(tier):
        _check_step(ONE)


def _check_step(spec: InputSpec) -> None:
    batch = make_batch(spec, 40, seed=3)
    model = build_model(DIN.Config(**CONFIG), spec, 3)
    twin = build_model(DIN.Config(**CONFIG), spec, 3)
    with torch.no_grad():
        for m in (model, twin):
            m.embedding.table.weight.mul_(30.0)
    both = set(batch.sparse[:, 0].tolist()) & set(batch.sparse[:, 1].tolist()) - {0}
    assert both
    optimizer = Optimizer(model, SGD.Config(learning_rate=0.5))
    binary_cross_entropy(model(batch), batch.label).backward()
    optimizer.step()

    table = twin.embedding.table.weight.clone().requires_grad_()
    twin.embedding.forward = lambda b: torch.nn.functional.embedding(b.sparse.long(), table)  # type: ignore[method-assign]
    binary_cross_entropy(twin(batch), batch.label).backward()
    wanted = (table - 0.5 * table.grad).detach()
    wanted[0] = 0.0
    torch.testing.assert_close(model.embedding.table.weight.detach(), wanted, rtol=1e-5, atol=1e-6)


def test_a_model_without_a_sequence_is_refused_and_told_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r'no sequence.*transform = "sequence" and shares.*such as deepfm'):
        build_model(DIN.Config(**CONFIG), SPECS["multi_valued"], 1)


def test_the_target_of_a_sequence_is_one_vector() -> None:
    fields = (Field(name="tags", num_ids=5, length=2, pooling="none"), Field(name="seen", num_ids=5, shares="tags"))
    with pytest.raises(ConfigError, match=r"features\.seen\.shares: got 'tags'.*one vector"):
        build_model(DIN.Config(**CONFIG), InputSpec(fields=fields), 1)
