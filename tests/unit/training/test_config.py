"""Training config: plain data in and out, and errors that name the key."""

from __future__ import annotations

import pytest

from clickwise.errors import ConfigError
from clickwise.optim import SGD, Adagrad, Adam, RowwiseAdagrad
from clickwise.training import TrainingConfig, training_config_from_data, training_config_to_data
from clickwise.training.config import default_batch_size


def test_defaults():
    config = training_config_from_data({})
    assert config == TrainingConfig()
    assert config.optimizer == Adam.Config()


def test_optimizers_are_tables_with_a_name_or_names():
    config = training_config_from_data(
        {"optimizer": {"name": "adagrad", "learning_rate": 1}, "embedding_optimizer": "rowwise_adagrad"}
    )
    assert config.optimizer == Adagrad.Config(learning_rate=1.0)
    assert config.embedding_optimizer == RowwiseAdagrad.Config()


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TrainingConfig(epochs=2, optimizer=SGD.Config(), embedding_optimizer=Adam.Config(beta1=0.5), threads=2),
    ],
)
def test_round_trip(config):
    assert training_config_from_data(training_config_to_data(config)) == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"epoch": 3}, "training.epoch: unknown key (did you mean 'epochs'?)"),
        ({"epochs": 0}, "training.epochs: got 0, allowed is a whole number >= 1"),
        ({"epochs": "3"}, "training.epochs: got '3', allowed is a whole number"),
        ({"monitor": "auc"}, "training.monitor: got 'auc'"),
        ({"seed": -1}, "training.seed: got -1"),
        ({"average_weights": 1.0}, "training.average_weights: got 1.0, allowed is a number in [0, 1)"),
        ({"reduce_on_plateau": 0.0}, "training.reduce_on_plateau: got 0.0"),
        ({"clip_grad_norm": 0.0}, "training.clip_grad_norm: got 0.0"),
        ({"optimizer": "adm"}, "training.optimizer.name: unknown optimizer 'adm' (did you mean 'adam'?)"),
        ({"optimizer": {"name": 1.0}}, "training.optimizer: got {'name': 1.0}, allowed is a table"),
        ({"optimizer": {"name": "adam", "lr": 1.0}}, "training.optimizer.lr: unknown key"),
        ({"optimizer": {"name": "adam", "beta1": 1.0}}, "training.optimizer.beta1: got 1.0"),
        ({"embedding_optimizer": {"name": "sgd", "eps": 1.0}}, "training.embedding_optimizer.eps: unknown key"),
        (3, "training: got 3, allowed is a table"),
    ],
)
def test_mistakes(data, message):
    with pytest.raises(ConfigError) as caught:
        training_config_from_data(data)
    assert str(caught.value).startswith(message)


def test_an_optimizer_that_is_not_a_config_is_refused():
    with pytest.raises(ConfigError, match=r"^optimizer: got 'adam', allowed is the Config of one of adagrad, adam"):
        TrainingConfig(optimizer="adam")


def test_an_optimizer_without_a_name_is_adam():
    assert training_config_from_data({"optimizer": {"learning_rate": 0.5}}).optimizer == Adam.Config(learning_rate=0.5)


@pytest.mark.parametrize(
    ("rows", "size"),
    [(1, 256), (9_000, 256), (32_767, 256), (32_768, 512), (200_000, 2048), (262_144, 4096), (10**9, 4096)],
)
def test_the_default_batch_is_a_64th_of_the_rows_in_bounds(rows: int, size: int) -> None:
    assert default_batch_size(rows) == size
