"""The training loop: what is best, when it stops, how it is interrupted and resumed."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading

import numpy as np
import pytest
import torch

from clickwise.errors import ClickwiseError, ConfigError, DataError
from clickwise.models import FM, LR, DeepFM, build_model
from clickwise.optim import SGD, Adagrad, Adam
from clickwise.progress import Progress
from clickwise.training import TrainingConfig, train_model
from clickwise.training.interrupt import interruptible
from clickwise.training.state import epoch_seed
from model_inputs import SPECS, InMemoryRows, make_batch, take

SPEC = SPECS["multi_valued"]
MODEL = DeepFM.Config(embedding_dim=4, hidden_dims=(8,), dropout=0.3, batch_norm=True)


def rows(count: int, seed: int) -> InMemoryRows:
    """Rows whose label follows from their ids, with noise."""
    batch = make_batch(SPEC, count, seed)
    rng = np.random.default_rng(seed)
    logit = 2.0 * (batch.sparse[:, 0] % 2) + 1.5 * (batch.sparse[:, 5] % 3 == 0) - 2.0
    label = torch.from_numpy((rng.random(count) < 1 / (1 + np.exp(-logit.numpy()))).astype(np.float32))
    weight = torch.from_numpy(rng.uniform(0.5, 1.5, count).astype(np.float32))
    return InMemoryRows(dataclasses.replace(batch, label=label, weight=weight))


TRAIN, VALID = rows(600, 1), rows(300, 2)
CONFIG = TrainingConfig(
    epochs=4,
    batch_size=64,
    optimizer=Adam.Config(learning_rate=0.02),
    embedding_optimizer=Adagrad.Config(learning_rate=0.1),
    embedding_l2=1e-4,
    validate_every=4,
    patience=0,
    reduce_on_plateau=0.5,
    clip_grad_norm=1.0,
    threads=1,
)

MORE = dataclasses.replace(
    CONFIG, embedding_decay=0.5, schedule="cosine", warmup_steps=5, label_smoothing=0.1, negative_keep_rate=0.7
)
AVERAGED = dataclasses.replace(MORE, average_weights=0.6)


def model(config=MODEL, seed: int = 5):
    return build_model(config, SPEC, seed)


def same_weights(a, b) -> bool:
    return all(torch.equal(tensor, b.state_dict()[name]) for name, tensor in a.state_dict().items())


def without_seconds(history):
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in history]


class Interrupting(Progress):
    """Presses Ctrl-C after some rows or at the start of some stage."""

    def __init__(self, after_rows: int = -1, at_stage: str = "", times: int = 1) -> None:
        self.after_rows, self.at_stage, self.times, self.rows = after_rows, at_stage, times, 0
        self.stages: list[str] = []
        self.notes: list[str] = []

    def start(self, stage, total_rows=None):
        self.stages.append(stage)
        if self.at_stage and stage == self.at_stage:
            self.at_stage = ""
            self.press()

    def advance(self, rows, **figures):
        self.rows += rows
        if self.rows == self.after_rows:
            self.press()

    def press(self):
        for _ in range(self.times):
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text):
        self.notes.append(text)


def test_learns_keeps_the_best_and_says_what_it_found():
    trained = model()
    progress = Interrupting()
    state = torch.get_rng_state()
    result = train_model(trained, TRAIN, VALID, CONFIG, progress)
    assert result.rows_seen == 2400
    assert not result.interrupted and not result.stopped_early
    assert [(h["epoch"], h["step"]) for h in result.history] == [
        (1, 4), (1, 8), (1, 10), (2, 12), (2, 16), (2, 20), (3, 24), (3, 28), (3, 30), (4, 32), (4, 36), (4, 40),
    ]  # fmt: skip
    best = min(result.history, key=lambda h: h["log_loss"])
    assert (result.best_step, result.best_epoch) == (best["step"], best["epoch"])
    assert result.best_metrics == {k: best[k] for k in ("log_loss", "roc_auc")}
    assert best["log_loss"] < result.history[0]["log_loss"]
    assert best["roc_auc"] > 0.68
    assert not trained.training
    with torch.no_grad():
        logit = trained(VALID.batch)
    measured = torch.nn.functional.binary_cross_entropy_with_logits(logit, VALID.batch.label, VALID.batch.weight)
    assert measured.item() / VALID.batch.weight.mean().item() == pytest.approx(best["log_loss"], rel=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    assert progress.stages[:3] == ["epoch 1/4", "validate", "epoch 1/4"]
    assert any("best so far" in note for note in progress.notes)


def test_same_seed_same_numbers_and_another_seed_others():
    results = []
    for seed in (1, 1, 2):
        trained = model()
        torch.manual_seed(len(results))  # the caller's generator has no say
        result = train_model(trained, TRAIN, VALID, dataclasses.replace(CONFIG, seed=seed, epochs=2))
        results.append((trained, without_seconds(result.history)))
    assert results[0][1] == results[1][1]
    assert same_weights(results[0][0], results[1][0])
    assert results[0][1] != results[2][1]


def test_no_two_epochs_or_seeds_share_an_order():
    assert len({epoch_seed(seed, epoch) for seed in range(20) for epoch in range(20)}) == 400


def test_early_stopping_gives_back_the_best_weights():
    config = TrainingConfig(batch_size=64, epochs=50, optimizer=Adam.Config(learning_rate=0.3), patience=3, threads=1)
    trained, until_best = model(FM.Config()), model(FM.Config())
    result = train_model(trained, TRAIN, VALID, config)
    assert result.stopped_early
    assert len(result.history) == result.best_epoch + 3 < 50
    train_model(until_best, TRAIN, None, dataclasses.replace(config, epochs=result.best_epoch))
    assert same_weights(trained, until_best)


def test_roc_auc_as_monitor_takes_the_largest():
    result = train_model(model(), TRAIN, VALID, dataclasses.replace(CONFIG, monitor="roc_auc"))
    assert result.best_metrics["roc_auc"] == max(h["roc_auc"] for h in result.history)


def test_min_delta_counts_only_real_improvements():
    result = train_model(model(), TRAIN, VALID, dataclasses.replace(CONFIG, min_delta=10.0, patience=2))
    assert result.best_step == 4
    assert len(result.history) == 3


def test_plateaus_lower_the_learning_rate():
    """With a factor of nearly zero nothing moves after the first validation, which is the best by `min_delta`."""
    config = dataclasses.replace(CONFIG, min_delta=10.0, reduce_on_plateau=1e-12, clip_grad_norm=None, patience=0)
    config = dataclasses.replace(config, optimizer=SGD.Config(), embedding_optimizer=SGD.Config())
    history = train_model(model(LR.Config()), TRAIN, VALID, config).history
    assert history[0]["log_loss"] != history[1]["log_loss"]
    assert history[1]["log_loss"] == pytest.approx(history[-1]["log_loss"], abs=1e-7)


def test_without_validation_rows_the_last_weights_stay():
    result = train_model(model(), TRAIN, None, CONFIG)
    assert result.history == []
    assert result.best_step is None and result.best_metrics == {}
    assert result.rows_seen == 2400


class Losses(Progress):
    """The losses that are shown."""

    def __init__(self) -> None:
        self.shown: list[float] = []

    def advance(self, rows: int = 0, **figures: float) -> None:
        self.shown += [figures["loss"]] if "loss" in figures else []


def test_the_loss_that_is_shown_is_that_of_the_pass_with_validation_rows_and_without():
    config = dataclasses.replace(CONFIG, batch_size=len(TRAIN), validate_every=0, reduce_on_plateau=1.0)
    with_valid, without = Losses(), Losses()
    train_model(model(), TRAIN, VALID, config, with_valid)
    train_model(model(), TRAIN, None, config, without)
    assert len(without.shown) == config.epochs
    assert without.shown == with_valid.shown


def test_threads_are_put_back():
    before = torch.get_num_threads()
    train_model(model(LR.Config()), TRAIN, None, dataclasses.replace(CONFIG, epochs=1, threads=before + 1))
    assert torch.get_num_threads() == before


def test_a_loss_that_is_not_finite_names_the_step_and_leaves_the_weights_finite():
    dense = TRAIN.batch.dense.clone()
    dense[:, 0] = 3e38
    broken = InMemoryRows(dataclasses.replace(TRAIN.batch, dense=dense))
    trained = model(LR.Config())
    config = dataclasses.replace(CONFIG, optimizer=SGD.Config(learning_rate=1e-30), clip_grad_norm=None)
    with pytest.raises(ClickwiseError, match=r"training loss is (nan|inf) at step \d+ \(epoch 1\); lower the learning"):
        train_model(trained, broken, None, config)
    assert all(torch.isfinite(p).all() for p in trained.parameters())
    assert not any("prefetch" in t.name for t in threading.enumerate())


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_the_same_are_an_error(label):
    constant = InMemoryRows(dataclasses.replace(TRAIN.batch, label=torch.full((600,), label)))
    with pytest.raises(DataError, match=f"all 600 training labels are {label:.0f}; a model needs rows"):
        train_model(model(), constant, VALID, dataclasses.replace(CONFIG, validate_every=0))
    with pytest.raises(DataError, match="validation rows all have the same label"):
        train_model(model(), TRAIN, constant, CONFIG)


def test_no_rows_are_an_error():
    empty = InMemoryRows(take(TRAIN.batch, torch.zeros(0, dtype=torch.int64)))
    with pytest.raises(DataError, match="no training rows"):
        train_model(model(), empty, VALID, CONFIG)
    with pytest.raises(DataError, match="no validation rows"):
        train_model(model(), TRAIN, empty, CONFIG)


def test_ctrl_c_ends_with_the_best_so_far():
    whole = train_model(model(), TRAIN, VALID, CONFIG)
    stopped = model()
    result = train_model(stopped, TRAIN, VALID, CONFIG, Interrupting(at_stage="epoch 2/4"))
    assert result.interrupted
    assert result.rows_seen == 664
    assert without_seconds(result.history) == without_seconds(whole.history)[:3]
    expected = model()
    train_model(expected, TRAIN, VALID, dataclasses.replace(CONFIG, epochs=1))
    assert same_weights(stopped, expected)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_any_validation_keeps_the_current_weights():
    stopped, start = model(), model()
    result = train_model(stopped, TRAIN, VALID, CONFIG, Interrupting(after_rows=128))
    assert result.interrupted and result.history == [] and result.best_step is None
    assert result.rows_seen == 128
    assert not same_weights(stopped, start)


def test_a_second_ctrl_c_interrupts_at_once_and_still_ends_cleanly():
    result = train_model(model(), TRAIN, VALID, CONFIG, Interrupting(after_rows=64, times=2))
    assert result.interrupted
    assert not any("prefetch" in t.name for t in threading.enumerate())


@pytest.mark.parametrize(
    "press",
    [
        {"after_rows": 64},
        {"after_rows": 5 * 64 + 300},
        {"at_stage": "validate"},
        {"at_stage": "epoch 3/4"},
        {"at_stage": "epoch 1/4"},
    ],
    ids=str,
)
@pytest.mark.parametrize("config", [CONFIG, MORE, AVERAGED], ids=["plain", "more", "averaged"])
def test_resume_after_ctrl_c_is_bit_equal_to_the_uninterrupted_run(press, config, tmp_path):
    whole = model()
    expected = train_model(whole, TRAIN, VALID, config)
    first = train_model(model(), TRAIN, VALID, config, Interrupting(**press), checkpoint=tmp_path / "run")
    assert first.interrupted
    resumed = model(seed=77)  # its own initial weights have no say
    progress = Interrupting()
    result = train_model(resumed, TRAIN, VALID, config, progress, checkpoint=tmp_path / "run")
    assert progress.notes[0].startswith("going on from")
    assert same_weights(whole, resumed)
    assert without_seconds(result.history) == without_seconds(expected.history)
    assert (result.best_step, result.best_metrics) == (expected.best_step, expected.best_metrics)
    assert result.rows_seen == expected.rows_seen


def test_a_schedule_is_over_all_epochs_so_none_can_be_added(tmp_path):
    train_model(model(), TRAIN, VALID, dataclasses.replace(MORE, epochs=1), checkpoint=tmp_path)
    with pytest.raises(ConfigError, match=r"^training\.epochs: got 4, but .* was made with 1"):
        train_model(model(), TRAIN, VALID, MORE, checkpoint=tmp_path)


@pytest.mark.parametrize("change", [{"schedule": "linear"}, {"warmup_steps": 9}, {"embedding_decay": 0.5}], ids=str)
def test_schedule_and_decay_reach_the_weights(change):
    plain, changed = model(), model()
    train_model(plain, TRAIN, None, CONFIG)
    train_model(changed, TRAIN, None, dataclasses.replace(CONFIG, **change))
    assert not same_weights(plain, changed)


@pytest.mark.parametrize("valid", [None, VALID], ids=["given back", "validated"])
def test_a_decayed_table_is_whole_when_it_is_given_back_and_validated(valid):
    """Rows that no batch holds have decayed as often as there were steps."""
    spec = dataclasses.replace(SPEC, fields=(*SPEC.fields[:-1], dataclasses.replace(SPEC.fields[-1], num_ids=50)))
    config = dataclasses.replace(CONFIG, embedding_optimizer=SGD.Config(learning_rate=0.1), reduce_on_plateau=1.0)
    config = dataclasses.replace(config, epochs=1, embedding_decay=0.5)
    trained, start = (build_model(FM.Config(embedding_dim=4), spec, 5) for _ in range(2))
    result = train_model(trained, TRAIN, valid, config)
    steps = result.best_step or 10
    table, before = trained.embedding.table.weight[-40:], start.embedding.table.weight[-40:]
    torch.testing.assert_close(table, before * (1 - 0.1 * 0.5) ** steps)


def test_epochs_can_be_added_to_a_finished_run(tmp_path):
    whole = model()
    train_model(whole, TRAIN, VALID, CONFIG)
    train_model(model(), TRAIN, VALID, dataclasses.replace(CONFIG, epochs=2), checkpoint=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000020"]
    resumed = model(seed=77)
    train_model(resumed, TRAIN, VALID, CONFIG, checkpoint=tmp_path)
    assert same_weights(whole, resumed)
    again = model(seed=78)
    assert train_model(again, TRAIN, VALID, CONFIG, checkpoint=tmp_path).rows_seen == 2400  # nothing left to do
    assert same_weights(whole, again)


def test_checkpoints_of_another_run_or_damaged_ones_are_refused(tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1)
    train_model(model(), TRAIN, VALID, config, checkpoint=tmp_path)
    with pytest.raises(ConfigError, match=r"^training\.batch_size: got 32, but .* was made with 64; use that"):
        train_model(model(), TRAIN, VALID, dataclasses.replace(config, batch_size=32), checkpoint=tmp_path)
    with pytest.raises(ConfigError, match="was made with 600 training rows, now there are 300"):
        train_model(model(), VALID, VALID, config, checkpoint=tmp_path)
    with pytest.raises(ClickwiseError, match="cannot be resumed from"):
        train_model(model(FM.Config()), TRAIN, VALID, config, checkpoint=tmp_path)
    (weights,) = tmp_path.glob("*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ClickwiseError, match=r"cannot be resumed from .* remove it to start again"):
        train_model(model(), TRAIN, VALID, config, checkpoint=tmp_path)


def test_a_half_written_checkpoint_is_passed_over_and_removed(tmp_path):
    train_model(model(), TRAIN, VALID, dataclasses.replace(CONFIG, epochs=1), checkpoint=tmp_path)
    torn = tmp_path / ".step-000000099.abc.tmp"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    result = train_model(model(), TRAIN, VALID, dataclasses.replace(CONFIG, epochs=2), checkpoint=tmp_path)
    assert result.rows_seen == 1200
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000020"]


def test_nothing_is_left_in_the_scratch_folder(tmp_path):
    train_model(model(), TRAIN, VALID, dataclasses.replace(CONFIG, epochs=1), scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


class Spied(InMemoryRows):
    """Remembers the seeds it was asked for."""

    def __init__(self, batch) -> None:
        super().__init__(batch)
        self.seeds: list[int | None] = []

    def batches(self, batch_size, seed, start=0):
        self.seeds.append(seed)
        return super().batches(batch_size, seed, start)


def test_every_epoch_has_an_order_of_its_own_and_validation_none():
    train, valid = Spied(TRAIN.batch), Spied(VALID.batch)
    train_model(model(LR.Config()), train, valid, dataclasses.replace(CONFIG, validate_every=0))
    assert train.seeds == [epoch_seed(CONFIG.seed, epoch) for epoch in range(4)]
    assert valid.seeds == [None] * 4


def test_a_model_handed_over_in_evaluation_mode_is_trained_all_the_same():
    one, other = model(), model().eval()
    train_model(one, TRAIN, VALID, CONFIG)
    train_model(other, TRAIN, VALID, CONFIG)
    assert same_weights(one, other)


def test_gradients_are_clipped():
    config = dataclasses.replace(CONFIG, epochs=1, optimizer=SGD.Config(), embedding_optimizer=SGD.Config())
    trained, start = model(FM.Config()), model(FM.Config())
    train_model(trained, TRAIN, None, dataclasses.replace(config, clip_grad_norm=1e-9, embedding_l2=0.0))
    for name, tensor in trained.state_dict().items():
        torch.testing.assert_close(tensor, start.state_dict()[name], rtol=0, atol=1e-8)


def test_the_first_ctrl_c_asks_and_the_second_interrupts():
    with interruptible() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
