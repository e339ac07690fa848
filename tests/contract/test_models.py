"""What every registered model must do, whatever its inputs."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from clickwise import batch as batch_module
from clickwise.config import build, to_data
from clickwise.losses import binary_cross_entropy
from clickwise.models import Ranker, build_model
from clickwise.optim import Adagrad, Adam, Optimizer
from clickwise.registry import models
from clickwise.schema import PADDING_ROW, InputSpec
from model_inputs import SPECS, make_batch, take

SMALL = {
    "embedding_dim": 4,
    "hidden_dims": [16, 12],
    "num_cross_layers": 2,
    "cin_layer_dims": [5, 4, 3],
    "mlp1_hidden_dims": [16, 12],
    "mlp2_hidden_dims": [16, 12],
    "gate_hidden_dims": [6],
    "head_dim": 3,
    "bottom_hidden_dims": [6],
    "block_dims": [16, 12],
    "reduction_ratio": 1,
    "attention_hidden_dims": [6, 5],
}
VARIANTS = {
    "autoint": [{"hidden_dims": [], "embedding_dropout": 0.3}, {"num_heads": 1, "num_attention_layers": 1}],
    "dcn_v2": [{"structure": "parallel"}, {"rank": 2}, {"rank": 2, "num_experts": 3}],
    "din": [{"softmax": True, "dropout": 0.2}, {"activation": "dice", "embedding_dropout": 0.3}],
    "deepfm": [{"dropout": 0.2, "batch_norm": True}],
    "dnn": [{"embedding_dropout": 0.3}],
    "dlrm": [{"bottom_hidden_dims": [], "dropout": 0.2}],
    "fibinet": [{"bilinear": "all"}, {"bilinear": "each", "embedding_dropout": 0.3}],
    "final_mlp": [{"gates": False, "mlp1_dropout": 0.2, "batch_norm": True}, {"num_heads": 4, "gate_hidden_dims": []}],
    "fnn": [{"embedding_dropout": 0.3}],
    "masknet": [{"structure": "parallel", "dropout": 0.2}, {"hidden_dims": [], "reduction_ratio": 0.5}],
    "nfm": [{"embedding_dropout": 0.3, "batch_norm": True}],
    "pnn": [{"products": "outer"}, {"products": "both", "embedding_dropout": 0.3}],
    "two_tower": [
        {"hidden_dims": [], "normalize": False},
        {"attention": True},
        {"gamma": 0.8, "query_dropout": 0.2, "hidden_dims": []},
        {"learn_temperature": True, "batch_norm": True},
    ],
    "xdeepfm": [{"cin_layer_dims": [3]}, {"embedding_dropout": 0.3, "dropout": 0.2}],
}
OF_SEQUENCES = ("din",)
WITHOUT_MLP = ("autoint", "masknet", "two_tower")  # may have no hidden layers
NO_DROPOUT = dict.fromkeys(("dropout", "embedding_dropout", "mlp1_dropout", "mlp2_dropout", "query_dropout"), 0.0)
CASES = [(name, {}) for name in models] + [(name, more) for name in VARIANTS for more in VARIANTS[name]]
every_model = pytest.mark.parametrize(("name", "more"), CASES, ids=[f"{n}-{'-'.join(m)}".strip("-") for n, m in CASES])
RUNS = [(n, m, spec) for n, m in CASES for spec in SPECS if n not in OF_SEQUENCES or spec == "sequences"]
every_run = pytest.mark.parametrize(
    ("name", "more", "spec"), [(n, m, SPECS[s]) for n, m, s in RUNS], ids=[f"{s}-{n}-{'-'.join(m)}" for n, m, s in RUNS]
)


def spec_for(name: str, usual: str) -> InputSpec:
    """The inputs for a test that needs one kind of them."""
    return SPECS["sequences" if name in OF_SEQUENCES else usual]


def make(name: str, more: dict, spec, seed: int = 3) -> Ranker:
    config_class = models.get(name).Config
    names = {f.name for f in dataclasses.fields(config_class)}
    config = build(config_class, {k: v for k, v in {**SMALL, **more}.items() if k in names})
    return build_model(config, spec, seed)


def stir(model: Ranker, seed: int = 5) -> Ranker:
    """Give every weight but padding a random value, so that zeros hide nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        for table in model.tables().values():
            table.weight[PADDING_ROW] = 0.0
    return model


def backward(model: Ranker, batch) -> Tensor:
    loss = binary_cross_entropy(model(batch), batch.label)
    loss.backward()
    return loss


@every_run
def test_logits_are_one_finite_number_a_row(name, more, spec):
    model = stir(make(name, more, spec)).eval()  # what dropout leaves of two rows may be alike
    batch = make_batch(spec, 12)
    logit = model(batch)
    assert logit.shape == (12,)
    assert logit.dtype == torch.float32
    assert torch.isfinite(logit).all()
    assert logit.unique().numel() == 12  # rows differ, and so do their logits


@every_run
def test_rows_do_not_see_each_other_in_evaluation(name, more, spec):
    model = stir(make(name, more, spec)).eval()
    batch = make_batch(spec, 10)
    whole = model(batch)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(take(batch, order)), whole[order])
    alone = torch.cat([model(take(batch, torch.tensor([i]))) for i in range(10)])
    torch.testing.assert_close(alone, whole)


@every_run
def test_a_batch_of_one_trains(name, more, spec):
    model = stir(make(name, more, spec))
    optimizer = Optimizer(model, Adagrad.Config())
    assert torch.isfinite(backward(model, make_batch(spec, 1)))
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in model.parameters())


@every_run
def test_training_and_evaluation_read_the_same_rows(name, more, spec):
    model = stir(make(name, {**more, **NO_DROPOUT, "batch_norm": False, "activation": "relu"}, spec))
    batch = make_batch(spec, 9)
    torch.testing.assert_close(model.train()(batch), model.eval()(batch))


@every_run
def test_a_gradient_reaches_every_parameter_and_every_row_of_the_batch(name, more, spec):
    model, batch = make(name, more, spec), make_batch(spec, 64)
    used = batch.sparse.unique()
    for seed in (5, 6, 7):  # a small ReLU layer may be dead for some weights
        backward(stir(model, seed), batch)
        for table_name, table in model.tables().items():
            assert len(table.weight) in (spec.num_rows, spec.base.num_rows), table_name  # with the crosses, or without
            rows, gradient = table.take_gradients()
            wanted = used[(used != PADDING_ROW) & (used < len(table.weight))]
            assert rows.sort().values.tolist() == wanted.tolist(), table_name
            assert (gradient.abs().sum(1) > 0).all(), table_name
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.abs().sum() > 0, parameter_name


@every_run
def test_only_touched_rows_change_and_padding_stays_zero(name, more, spec):
    model = stir(make(name, more, spec))
    batch = make_batch(spec, 3)
    touched = torch.zeros(spec.num_rows, dtype=torch.bool)
    touched[batch.sparse.flatten().long()] = True
    touched[PADDING_ROW] = False
    before = {n: t.weight.clone() for n, t in model.tables().items()}
    optimizer = Optimizer(model, Adam.Config(), embedding_l2=0.1)
    backward(model, batch)
    optimizer.step()
    for table_name, table in model.tables().items():
        changed = (table.weight != before[table_name]).any(1)
        assert changed.tolist() == touched[: len(table.weight)].tolist(), table_name
        assert not table.weight[PADDING_ROW].any()
    assert all(t.weight.grad is None for t in model.tables().values())


@every_run
def test_distinct_rows_are_found_once_a_step(name, more, spec, monkeypatch):
    """From what the training loop asks for ahead of time, every table of the model takes its own."""
    found = []
    for search in ("find_by_hashing", "find_by_sorting"):
        real = getattr(batch_module, search)
        monkeypatch.setattr(batch_module, search, lambda s, g, real=real: found.append(g.tolist()) or real(s, g))
    model, batch = stir(make(name, more, spec)), make_batch(spec, 9)
    batch.distinct_of(model.slot_starts())
    backward(model, batch)
    assert found == [list(model.slot_starts())]
    rows = max(len(table.weight) for table in model.tables().values())
    assert (spec if rows == spec.num_rows else spec.base).slot_starts() == model.slot_starts()


@every_model
def test_config_and_weights_round_trip(name, more, tmp_path: Path):
    spec = spec_for(name, "multi_valued")
    model = stir(make(name, more, spec)).eval()
    safetensors.torch.save_file(model.state_dict(), tmp_path / "weights.safetensors")
    config = build(models.get(name).Config, to_data(model.config))
    assert config == model.config
    again = build_model(config, spec, seed=99).eval()
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    batch = make_batch(spec, 8)
    assert torch.equal(again(batch), model(batch))


@every_model
def test_same_seed_same_weights_and_no_trace_in_the_global_generator(name, more):
    before = torch.get_rng_state()
    first, second, other = (make(name, more, spec_for(name, "with_dense"), seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[k], second[k]) for k in first)
    if name != "lr":
        assert any(not torch.equal(first[k], other[k]) for k in first)
    assert torch.equal(torch.get_rng_state(), before)


@every_model
def test_overfits_64_rows(name, more):
    spec = spec_for(name, "multi_valued")
    model = make(name, {**more, **NO_DROPOUT}, spec)
    batch = make_batch(spec, 64)
    batch = dataclasses.replace(batch, label=(batch.sparse[:, 0] % 2).float())  # what single ids explain
    optimizer = Optimizer(model, Adam.Config(learning_rate=0.03))
    for _ in range(150):
        loss = backward(model, batch)
        optimizer.step()
    assert loss < 0.1


def test_models_with_interactions_overfit_what_single_ids_cannot_explain():
    losses = {}
    for name in models:
        spec = spec_for(name, "plain")
        batch = make_batch(spec, 64)
        parity = ((batch.sparse[:, 0] + batch.sparse[:, 1]) % 2).float()
        batch = dataclasses.replace(batch, label=parity)
        torch.manual_seed(0)
        model = make(name, {}, spec)
        optimizer = Optimizer(model, Adam.Config(learning_rate=0.03))
        for _ in range(200):
            losses[name] = backward(model, batch).item()
            optimizer.step()
    assert losses.pop("lr") > 0.3
    assert max(losses.values()) < 0.1, losses


@pytest.mark.parametrize("name", models)
def test_config_errors_name_the_key(name):
    config_class = models.get(name).Config
    bad = {
        "embedding_dim": 0,
        "hidden_dims": (0,) if name in WITHOUT_MLP else (),
        "embedding_dropout": 1.0,
        "dropout": 1.0,
        "num_cross_layers": 0,
        "rank": 0,
        "structure": "round",
        "products": "round",
        "cin_layer_dims": (3, 0),
        "pretraining_epochs": -1,
        "mlp1_hidden_dims": (),
        "mlp2_hidden_dims": (),
        "mlp1_dropout": 1.0,
        "mlp2_dropout": 1.0,
        "gate_hidden_dims": (0,),
        "num_heads": 0,
        "num_attention_layers": 0,
        "head_dim": 0,
        "bottom_hidden_dims": (0,),
        "block_dims": (),
        "reduction_ratio": 0,
        "bilinear": "round",
        "num_experts": 0,
        "attention_hidden_dims": (),
        "activation": "tanh",
    }
    for field in dataclasses.fields(config_class):
        if field.name in bad:
            with pytest.raises(Exception, match=f"^{field.name}: got"):
                config_class(**{field.name: bad[field.name]})


@pytest.mark.parametrize("name", models)
def test_training_starts_from_the_base_rate(name: str) -> None:
    config = models.get(name).Config()
    spec = spec_for(name, "plain")
    model = build_model(config, spec, 1, base_rate=0.03)
    assert model.output_bias.item() == pytest.approx(math.log(0.03 / 0.97))
    other = build_model(config, spec, 1)
    batch = make_batch(spec, 64)
    with torch.no_grad():
        shift = model.eval()(batch) - other.eval()(batch)
    torch.testing.assert_close(shift, torch.full_like(shift, math.log(0.03 / 0.97)))
