"""Averaging of weights: against an average made by hand of the weights at every validation."""

from __future__ import annotations

import dataclasses
import errno
import os

import pytest
import torch

from clickwise.errors import DataError
from clickwise.models import DeepFM, build_model
from clickwise.optim import Adagrad, Adam
from clickwise.progress import Progress
from clickwise.training import TrainingConfig, train_model
from clickwise.training import average as averages
from clickwise.training.average import AverageWeights
from model_inputs import SPECS, InMemoryRows, make_batch

SPEC = SPECS["multi_valued"]
DECAYS = [3 / 12, 4 / 13, 0.35, 0.35]  # from the second validation on
CONFIG = TrainingConfig(
    epochs=5,
    batch_size=32,
    optimizer=Adam.Config(learning_rate=0.02),
    embedding_optimizer=Adagrad.Config(learning_rate=0.1),
    embedding_decay=0.3,
    monitor="roc_auc",
    patience=0,
    threads=1,
)
AVERAGED = dataclasses.replace(CONFIG, average_weights=0.35)


def rows(count: int, seed: int) -> InMemoryRows:
    batch = make_batch(SPEC, count, seed)
    noise = torch.from_numpy(torch.randn(count, generator=torch.Generator().manual_seed(seed)).numpy())
    return InMemoryRows(dataclasses.replace(batch, label=(batch.sparse[:, 0] % 2 + noise > 0.5).float()))


TRAIN, VALID = rows(300, 1), rows(400, 2)


def model():
    config = DeepFM.Config(embedding_dim=4, hidden_dims=(8,), dropout=0.3, batch_norm=True)
    return build_model(config, SPEC, 5)


def copy_of(trained) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trained.state_dict().items()}


def by_hand(weights: list[dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:
    """After each: d times the average so far and 1 - d times the weights; whole numbers are the last ones."""
    found = [weights[0]]
    for d, new in zip(DECAYS, weights[1:], strict=True):
        floats = {n: d * found[-1][n].double() + (1 - d) * t.double() for n, t in new.items()}
        found.append({n: t.to(new[n].dtype) if new[n].is_floating_point() else new[n] for n, t in floats.items()})
    return found


def assert_weights(trained, expected: dict[str, torch.Tensor]) -> None:
    for name, tensor in trained.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)


def weights_at_the_ends_of_epochs() -> list[dict[str, torch.Tensor]]:
    """Of runs without averaging or validation, which have so many epochs."""
    found = []
    for epochs in range(1, CONFIG.epochs + 1):
        trained = model()
        train_model(trained, TRAIN, None, dataclasses.replace(CONFIG, epochs=epochs))
        found.append(copy_of(trained))
    return found


WEIGHTS = weights_at_the_ends_of_epochs()


class Watching(Progress):
    """Keeps what the model has whenever a validation is told of."""

    def __init__(self, watched) -> None:
        self.watched, self.seen = watched, []

    def validated(self, entry) -> None:
        self.seen.append(copy_of(self.watched))


def test_the_best_average_is_given_back_and_training_goes_on_with_the_weights():
    trained = model()
    watching = Watching(trained)
    result = train_model(trained, TRAIN, VALID, AVERAGED, watching)
    averages = by_hand(WEIGHTS)
    assert result.best_epoch is not None
    assert_weights(trained, averages[result.best_epoch - 1])
    for seen, weights in zip(watching.seen, WEIGHTS, strict=True):
        assert all(torch.equal(tensor, weights[name]) for name, tensor in seen.items())


def test_what_is_validated_is_the_average():
    figures = train_model(model(), TRAIN, VALID, AVERAGED).history
    logits = model()
    for entry, average in zip(figures, by_hand(WEIGHTS), strict=True):
        logits.load_state_dict(average)
        with torch.no_grad():
            logit = logits.eval()(VALID.batch)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, VALID.batch.label).item()
        assert entry["log_loss"] == pytest.approx(loss, rel=1e-5)


def test_without_validation_rows_it_is_over_the_ends_of_the_epochs():
    trained = model()
    train_model(trained, TRAIN, None, AVERAGED)
    assert_weights(trained, by_hand(WEIGHTS)[-1])


def test_padding_stays_zero():
    trained = model()
    train_model(trained, TRAIN, VALID, AVERAGED)
    assert all(not table.weight[0].any() for table in trained.tables().values())


def test_the_file_of_the_average_goes_with_the_run(tmp_path):
    train_model(model(), TRAIN, VALID, AVERAGED, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_weights_count_once_a_step_and_an_exchange_can_be_undone(tmp_path, monkeypatch):
    monkeypatch.setattr(averages, "_AT_ONCE", 7)
    layer = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5).double(), torch.nn.Linear(5, 1))
    average = AverageWeights(layer, 0.2, tmp_path)
    first = copy_of(layer)
    average.take(4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(2.0)
    average.take(4)
    assert average.taken == 1
    average.take(8)
    average.exchange()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(parameter.data, 0.2 * first[name] + 1.6)
    average.exchange()
    assert all(bool((parameter == 2.0).all()) for parameter in layer.parameters())


def test_weights_with_two_names_or_out_of_order_in_memory(tmp_path):
    layer = torch.nn.ModuleList([torch.nn.Linear(3, 5), torch.nn.Linear(3, 5)])
    layer[0].weight = torch.nn.Parameter(torch.randn(3, 5).t())
    layer[1].weight = layer[0].weight
    average = AverageWeights(layer, 0.2, tmp_path)
    first = layer[0].weight.detach().clone()
    average.take(1)
    with torch.no_grad():
        layer[0].weight.fill_(2.0)
    average.take(2)
    average.exchange()
    torch.testing.assert_close(layer[1].weight.data, 0.2 * first + 1.6)
    average.exchange()
    assert bool((layer[1].weight == 2.0).all())


def test_a_full_disk_is_said_before_the_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"average\.bin: the disk is full"):
        train_model(model(), TRAIN, VALID, AVERAGED, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
