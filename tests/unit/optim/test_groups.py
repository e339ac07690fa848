"""Parameter groups: who is updated by what."""

from __future__ import annotations

import pytest
import torch

from clickwise.errors import ConfigError
from clickwise.models import WideDeep, build_model
from clickwise.optim import FTRL, SGD, Adagrad, Adam, Optimizer, ParameterGroup
from clickwise.training import TrainingConfig, training_config_from_data, training_config_to_data
from model_inputs import SPECS

SPEC = SPECS["with_dense"]


def wide_deep():
    return build_model(WideDeep.Config(embedding_dim=2, hidden_dims=(3,)), SPEC, 1)


def rules(*groups: ParameterGroup) -> dict[str, str]:
    optimizer = Optimizer(wide_deep(), Adam.Config(), Adagrad.Config(), groups=groups)
    return {name: type(how.rule).__name__ for name, how in optimizer._how.items()}


def test_the_first_match_wins_and_the_rest_is_as_before() -> None:
    found = rules(
        ParameterGroup(parameters="wide.bias", optimizer=SGD.Config()),
        ParameterGroup(parameters="wide.*", optimizer=FTRL.Config(l1=0.1)),
        ParameterGroup(parameters="deep.hidden.*", l2=0.1),
    )
    assert found == {
        "wide.bias": "SGD",
        "wide.dense": "FTRL",
        "wide.ids.table.weight": "FTRL",
        "deep.hidden.0.weight": "Adam",
        "deep.hidden.0.bias": "Adam",
        "deep.out.weight": "Adam",
        "deep.out.bias": "Adam",
        "embedding.table.weight": "Adagrad",
    }


@pytest.mark.parametrize("patterns", [["dep.*"], ["wide.*", "wide.bias"]])
def test_a_group_of_nothing_is_a_mistake_that_names_the_parameters(patterns: list[str]) -> None:
    with pytest.raises(ConfigError, match=rf"groups\[{len(patterns) - 1}\].parameters: .*wide.bias, .*embedding.table"):
        rules(*(ParameterGroup(parameters=pattern) for pattern in patterns))


@pytest.mark.parametrize("tier", ["torch", "dense"])
def test_l2_of_a_group_is_in_the_gradient(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = wide_deep()
    with torch.no_grad():
        model.wide.dense.copy_(torch.tensor([2.0, -4.0]))
    optimizer = Optimizer(model, SGD.Config(learning_rate=0.5), groups=[ParameterGroup(parameters="wide.*", l2=0.1)])
    if tier == "torch":
        monkeypatch.setattr("clickwise.optim.optimizer.compiled", lambda *_: False)
    model.wide.dense.grad = torch.tensor([1.0, 0.0])
    optimizer.step()
    torch.testing.assert_close(model.wide.dense.data, torch.tensor([2.0 - 0.5 * 1.2, -4.0 + 0.5 * 0.4]))


def test_groups_are_plain_data_and_back() -> None:
    data = {
        "groups": [{"parameters": "wide.*", "optimizer": {"name": "ftrl", "l1": 0.5}}, {"parameters": "*", "l2": 1}]
    }
    config = training_config_from_data(data)
    assert config.groups[0].optimizer == FTRL.Config(l1=0.5)
    assert config.groups[1] == ParameterGroup(parameters="*", l2=1.0)
    assert training_config_from_data(training_config_to_data(config)) == config
    assert training_config_from_data(training_config_to_data(TrainingConfig())) == TrainingConfig()


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({}, "training.groups[0].parameters: is required"),
        ({"parameters": ""}, "training.groups[0].parameters: got ''"),
        ({"parameters": "*", "l2": -1}, "training.groups[0].l2: got -1.0"),
        ({"parameters": "*", "optimizer": "ftlr"}, "training.groups[0].optimizer.name: unknown optimizer 'ftlr'"),
        (
            {"parameters": "*", "optimiser": "sgd"},
            "training.groups[0].optimiser: unknown key (did you mean 'optimizer'?)",
        ),
        (3, "training.groups[0]: got 3, allowed is a table"),
    ],
)
def test_mistakes(group, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        training_config_from_data({"groups": [group]})
    assert str(caught.value).startswith(message)
