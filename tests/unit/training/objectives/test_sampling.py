"""Negative down-sampling: what is kept, and that the trained model gives the true probability."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clickwise.batch import Batch
from clickwise.models import LR, build_model
from clickwise.optim import Adam
from clickwise.schema import Field, InputSpec
from clickwise.training import TrainingConfig, train_model
from clickwise.training.objectives.sampling import SampledRows
from model_inputs import InMemoryRows

SPEC = InputSpec(fields=(Field(name="a", num_ids=4),), dense=("row",))
RATES = np.array([0.05, 0.1, 0.2, 0.4])


def rows_of(count: int, names: float = 1.0) -> InMemoryRows:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, (count, 1))
    label = (rng.random(count) < RATES[ids[:, 0]]).astype(np.float32)
    dense = (names * np.arange(count)).astype(np.float32)[:, None]  # tells rows apart
    return InMemoryRows(Batch.of((ids + 1).astype(np.int32), dense, None, label))


def test_all_clicks_and_a_share_of_the_rest_are_kept_each_once() -> None:
    rows = rows_of(20_000)
    batches = list(SampledRows(rows, 0.25).batches(512, seed=3))
    assert [len(b) for b in batches[:-1]] == [512] * (len(batches) - 1)
    names = torch.cat([b.dense[:, 0] for b in batches]).long()
    label = torch.cat([b.label for b in batches])
    assert len(names.unique()) == len(names)
    assert torch.equal(label, rows.batch.label[names])
    assert label.sum() == rows.batch.label.sum()
    others = int((rows.batch.label == 0).sum())
    assert abs((label == 0).sum() - 0.25 * others) < 4 * (others * 0.25 * 0.75) ** 0.5
    assert abs(len(SampledRows(rows, 0.25)) - len(names)) < 4 * (others * 0.25 * 0.75) ** 0.5


def test_each_epoch_keeps_others_and_a_resumed_one_the_same() -> None:
    rows = SampledRows(rows_of(3_000), 0.3)
    one, again, other = (torch.cat([b.dense for b in rows.batches(256, seed)]) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert set(one.flatten().tolist()) != set(other.flatten().tolist())
    assert torch.equal(torch.cat([b.dense for b in rows.batches(256, 1, start=2)]), one[512:])


@pytest.mark.parametrize("keep", [1.0, 0.2])
def test_the_model_gives_the_true_click_rates(keep: float) -> None:
    model = build_model(LR.Config(), SPEC, 1)
    config = TrainingConfig(
        epochs=12, batch_size=1024, optimizer=Adam.Config(learning_rate=0.05), negative_keep_rate=keep
    )
    train_model(model, rows_of(60_000, names=0.0), None, config)
    batch = Batch.of(np.arange(1, 5, dtype=np.int32)[:, None], np.zeros((4, 1), np.float32))
    with torch.no_grad():
        found = torch.sigmoid(model(batch)).numpy()
    np.testing.assert_allclose(found, RATES, rtol=0.08)


def test_the_shift_is_the_correction_of_the_paper() -> None:
    keep, p = 0.1, 0.3  # p: what a model of the kept rows says
    q = p / (p + (1 - p) / keep)
    assert np.log(q / (1 - q)) == pytest.approx(np.log(p / (1 - p)) + np.log(keep))
