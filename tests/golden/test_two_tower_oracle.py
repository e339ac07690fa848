"""The two towers against their formula, in float64 loops, one row at a time; and their parts against the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clickwise.errors import ConfigError
from clickwise.models import TwoTower, build_model
from clickwise.schema import Field, InputSpec
from model_inputs import SPECS
from oracle_rows import batch64, build, expected, perceptron, vectors_of

CONFIGS = {
    "sums": TwoTower.Config(embedding_dim=4, temperature=0.3),
    "not_normalised": TwoTower.Config(embedding_dim=4, normalize=False, temperature=0.7),
    "layers": TwoTower.Config(embedding_dim=4, hidden_dims=(6, 5, 3)),
    "attention": TwoTower.Config(embedding_dim=4, attention=True, hidden_dims=(5,)),
    "attended_sums": TwoTower.Config(embedding_dim=4, attention=True, normalize=False),
    "mapped_sums": TwoTower.Config(embedding_dim=4, gamma=0.7),
    "mapped_layers": TwoTower.Config(embedding_dim=4, gamma=0.2, hidden_dims=(5,)),
    "attended_and_mapped": TwoTower.Config(embedding_dim=4, attention=True, gamma=0.6),
    "learned_temperature": TwoTower.Config(embedding_dim=4, hidden_dims=(3,), learn_temperature=True),
}


def formula(config: TwoTower.Config):
    def of_side(weights, name, mine, numbers):
        if config.hidden_dims:
            out = perceptron(weights, f"{name}_tower.mlp", np.concatenate([*mine, numbers]))
        else:
            out = sum(mine) if mine else np.zeros(config.embedding_dim)
            if len(numbers):
                out = out + weights[f"{name}_tower.of_dense.weight"] @ numbers
        return out / np.sqrt(sum(out**2)) if config.normalize else out

    def attention(weights, name, spec, field, ids, slot_weights):
        slots = {f.name: at for f, at in spec.base.slots()}[field]
        filled = [s for s in range(slots.start, slots.stop) if ids[s] != 0]
        entries = [slot_weights[s] * weights["table.weight"][ids[s]] for s in filled]
        scores = [weights[f"{name}.score"][0] @ np.tanh(weights[f"{name}.weight"] @ x) for x in entries]
        total = sum(np.exp(score) for score in scores)
        return sum(
            (np.exp(a) / total * x for a, x in zip(scores, entries, strict=True)), np.zeros(config.embedding_dim)
        )

    def logit(weights, spec, ids, dense, slot_weights):
        apart = config.attention or config.gamma is not None
        sequences = {f.name for f in spec.base.fields if f.shares} if apart else set()
        named = _Named(spec)
        vectors = vectors_of(weights["table.weight"], spec.base, ids, slot_weights)
        sides = []
        for side, of_item in (("query", False), ("item", True)):
            fields = [f.name for f in spec.base.fields if (f.name in spec.item) == of_item]
            plain = [
                v
                for v, name in zip(vectors, named.vector_names, strict=True)
                if name in fields and name not in sequences
            ]
            mine = [name for name in fields if name in sequences]
            if config.attention:
                pooled = [
                    attention(weights, f"{side}_attention.{i}", spec, name, ids, slot_weights)
                    for i, name in enumerate(mine)
                ]
            else:
                pooled = [v for v, name in zip(vectors, named.vector_names, strict=True) if name in mine]
            if config.gamma is not None and mine:
                plain = [config.gamma * v for v in plain]
                pooled = [(1.0 - config.gamma) * (weights[f"{side}_mix.weights.{i}"] @ x) for i, x in enumerate(pooled)]
            numbers = np.array([x for x, name in zip(dense, spec.dense, strict=True) if (name in spec.item) == of_item])
            sides.append(of_side(weights, side, [*plain, *pooled], numbers))
        scale = np.exp(weights["log_scale"][0]) if config.learn_temperature else 1.0 / config.temperature
        return scale * sum(sides[0] * sides[1]) + weights["bias"][0]

    return logit


class _Named:
    """A spec with the name of the field of each vector."""

    def __init__(self, spec: InputSpec) -> None:
        self.item, self.dense = spec.item, spec.dense
        self.vector_names = [f.name for f in spec.base.fields for _ in range(f.num_vectors)]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_logit_is_that_of_the_formula(config: TwoTower.Config, spec: InputSpec) -> None:
    model, batch = build(config, spec), batch64(spec)
    torch.testing.assert_close(model(batch), expected(model, spec, batch, formula(config)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("config", ["layers", "attention", "mapped_sums"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_the_vectors_of_each_side_alone_give_the_same_logit(config: str, spec: InputSpec) -> None:
    model, batch = build(CONFIGS[config], spec), batch64(spec)
    query, item = model.split(batch)
    similarity = (model.query(query) * model.item(item)).sum(1)
    torch.testing.assert_close(model.scaled(similarity) + model.bias, model(batch))


def test_one_field_a_side_without_layers_is_matrix_factorisation() -> None:
    spec = InputSpec(fields=(Field(name="user", num_ids=5), Field(name="item", num_ids=7)), item=("item",))
    model = build(TwoTower.Config(embedding_dim=3, normalize=False, temperature=1.0), spec)
    batch = batch64(spec)
    rows = model.table.weight[batch.sparse.long()]  # [B, 2, D]
    torch.testing.assert_close(model(batch), (rows[:, 0] * rows[:, 1]).sum(1) + model.bias)


def test_both_sides_need_features() -> None:
    with pytest.raises(ConfigError, match="the item has none"):
        build_model(TwoTower.Config(), InputSpec(dense=("x",)), 1)
    with pytest.raises(ConfigError, match="the query has none"):
        build_model(TwoTower.Config(), InputSpec(dense=("x",), item=("x",)), 1)
