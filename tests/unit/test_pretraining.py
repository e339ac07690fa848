"""Models that start from another trained model: FNN from its FM, through the whole pipeline."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import clickwise as cw
from clickwise.errors import ConfigError
from clickwise.models import FM, FNN, LR, build_model
from clickwise.progress import Progress
from model_inputs import SPECS

FNN_CONFIG = FNN.Config(embedding_dim=4, hidden_dims=(8,), pretraining_epochs=2)
FAST = ["training.epochs=2", "training.batch_size=512", "training.threads=1"]


class Recording(Progress):
    """Notes and stages; presses Ctrl-C when a stage begins that was named, the given time."""

    def __init__(self, stop_at: str = "", time: int = 1) -> None:
        self.said: list[str] = []
        self.stop_at, self.time = stop_at, time

    def start(self, stage: str, total_rows: int | None = None) -> None:
        self.said.append(stage)
        if stage == self.stop_at and self.said.count(stage) == self.time:
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(text)

    @property
    def epochs(self) -> list[str]:
        return [text for text in self.said if text.startswith("epoch ") and "step" not in text]


def train(log: Path, model: object = FNN_CONFIG, progress: Progress | None = None) -> cw.Bundle:
    return cw.train(log, label="click", model=model, settings=FAST, progress=progress or Recording())


def test_fnn_starts_from_the_fm_that_the_same_run_would_train(small_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, torch.Tensor] = {}
    start_from = FNN.start_from

    def watched(self: FNN, other: FM) -> None:
        start_from(self, other)
        seen.update({f"fm.{name}": tensor for name, tensor in other.state_dict().items()})
        seen.update({name: tensor.clone() for name, tensor in self.state_dict().items()})

    monkeypatch.setattr(FNN, "start_from", watched)
    progress = Recording()
    fnn = train(small_log, progress=progress).model
    assert progress.epochs == ["epoch 1/2", "epoch 2/2"] * 2
    assert "pre-training fm, epochs: 2" in progress.said
    fm = train(small_log, FM.Config(embedding_dim=4)).model.state_dict()
    assert all(torch.equal(seen[f"fm.{name}"], tensor) for name, tensor in fm.items())
    table = seen["embedding.table.weight"]
    assert torch.equal(table[:, :1], fm["linear.ids.table.weight"])
    assert torch.equal(table[:, 1:], fm["embedding.table.weight"])
    assert seen["w0"] == fm["linear.bias"] != 0
    assert not torch.equal(fnn.state_dict()["embedding.table.weight"], table)  # it goes on from there


def test_without_pretraining_there_is_one_training(small_log: Path) -> None:
    progress = Recording()
    train(small_log, FNN.Config(embedding_dim=4, hidden_dims=(8,), pretraining_epochs=0), progress)
    assert progress.epochs == ["epoch 1/2", "epoch 2/2"]


def test_a_run_stopped_in_either_training_goes_on_to_the_same_weights(small_log: Path) -> None:
    table = pq.read_table(small_log)
    whole = train(small_log).logits(table)
    with pytest.raises(KeyboardInterrupt):
        train(small_log, progress=Recording("epoch 2/2"))
    second = Recording("epoch 2/2", time=2)
    train(small_log, progress=second)
    assert any(text.startswith("stopped by Ctrl-C") for text in second.said)
    assert second.epochs == ["epoch 2/2", "epoch 1/2", "epoch 2/2"]
    third = Recording()
    np.testing.assert_array_equal(train(small_log, progress=third).logits(table), whole)
    assert third.epochs == ["epoch 2/2"]  # the FM is not trained again
    fresh = Recording()
    train(small_log, progress=fresh)
    assert len(fresh.epochs) == 4  # a finished run leaves nothing to go on from


@pytest.mark.parametrize(
    "other",
    [
        build_model(FM.Config(embedding_dim=3), SPECS["plain"], 1),
        build_model(FM.Config(embedding_dim=4), SPECS["with_dense"], 1),
        build_model(LR.Config(), SPECS["plain"], 1),
    ],
)
def test_fnn_starts_from_its_own_fm_only(other) -> None:
    model = build_model(FNN_CONFIG, SPECS["plain"], 1)
    before = model.state_dict()["embedding.table.weight"].clone()
    with pytest.raises(ConfigError, match=r"FNN cannot start from .*; allowed is an FM of the same inputs"):
        model.start_from(other)
    assert torch.equal(model.state_dict()["embedding.table.weight"], before)
    with pytest.raises(ConfigError, match="LR starts from no other model"):
        build_model(LR.Config(), SPECS["plain"], 1).start_from(other)
