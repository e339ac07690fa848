"""From raw rows to a trained model, the kernel tiers tell the same story."""

from __future__ import annotations

from pathlib import Path

import pytest

import clickwise as cw
from clickwise.models import FM, LR, build_model
from clickwise.native import Tier
from clickwise.optim import Adagrad, Adam
from clickwise.training import TrainingConfig, train_model
from kernel_tiers import kernel_tier
from model_inputs import SPECS, InMemoryRows, make_batch

RULES = ("adam", "adagrad", "rowwise_adagrad", "ftrl", "sgd")


def losses(log: Path, tier: Tier, rule: str, model: str) -> list[float]:
    settings = ["training.epochs=2", "training.batch_size=512", "training.patience=0", "training.validate_every=3"]
    with kernel_tier(tier):
        bundle = cw.train(log, label="click", model=model, settings=[*settings, f"training.optimizer={rule}"])
    return [entry[key] for entry in bundle.provenance.history for key in ("train_loss", "log_loss")]


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("model", ["lr", "fm"])
def test_losses_of_a_run_do_not_depend_on_the_tier(small_log: Path, rule: str, model: str) -> None:
    expected = losses(small_log, Tier.TORCH, rule, model)
    found = losses(small_log, Tier.EMBEDDINGS, rule, model)
    assert len(found) > 6
    assert found == pytest.approx(expected, rel=1e-4)
    assert found[0] != found[-1]  # something was learned


@pytest.mark.parametrize("config", [LR.Config(), FM.Config(embedding_dim=5)], ids=["lr", "fm"])
@pytest.mark.parametrize("spec", ["multi_valued", "weighted"])
def test_multi_valued_and_weighted_fields_train_alike(config: object, spec: str) -> None:
    rows = InMemoryRows(make_batch(SPECS[spec], 400))
    training = TrainingConfig(
        epochs=3,
        batch_size=64,
        optimizer=Adam.Config(learning_rate=0.01),
        embedding_optimizer=Adagrad.Config(learning_rate=0.1),
        embedding_l2=1e-3,
        clip_grad_norm=0.5,
        validate_every=5,
        patience=0,
    )
    histories = []
    for tier in (Tier.TORCH, Tier.EMBEDDINGS):
        with kernel_tier(tier):
            result = train_model(build_model(config, SPECS[spec], 1), rows, rows, training)
        histories.append([entry["log_loss"] for entry in result.history])
    assert histories[1] == pytest.approx(histories[0], rel=1e-5)
