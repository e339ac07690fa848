"""The training loop: steps, validations, early stopping, best weights, clean interruption."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clickwise.errors import ClickwiseError, DataError
from clickwise.models import Ranker
from clickwise.native import freed_memory_kept, set_threads
from clickwise.native.precision import resolve, using
from clickwise.optim import Optimizer
from clickwise.progress import Progress
from clickwise.training.average import AverageWeights
from clickwise.training.best import BestWeights, best_weights
from clickwise.training.checkpoint import Checkpoints
from clickwise.training.config import TrainingConfig, default_batch_size
from clickwise.training.interrupt import Interrupt, interruptible
from clickwise.training.objectives import Objective, make_objective, monitor_of
from clickwise.training.prefetch import prefetch
from clickwise.training.schedule import rate_factor
from clickwise.training.state import Position, Rows, TrainingResult, epoch_seed


def train_model(
    model: Ranker,
    train: Rows,
    valid: Rows | None,
    config: TrainingConfig,
    progress: Progress | None = None,
    *,
    checkpoint: Path | None = None,
    scratch: Path | None = None,
) -> TrainingResult:
    """Train `model` in place; at the end it holds its best weights and is in evaluation mode.

    Ctrl-C ends the run between two steps: with the best weights so far, or the current ones when nothing was validated
    yet. The same initial weights, rows, config and number of threads give the same numbers. torch's generator and
    number of threads are left as they were; kernels use as many threads as torch.

    Memory: model and optimiser state, a few batches. The best weights are kept in a file, not in memory.

    Args:
        model: with its initial weights.
        train: training rows.
        valid: validation rows; None trains all epochs and keeps the last weights.
        config: epochs, batch size, optimisers, early stopping.
        progress: told of every step and validation.
        checkpoint: a folder of this run. A checkpoint is written there after each epoch and on Ctrl-C; when it holds
            one already, training goes on from it, to bit-equal final weights.
        scratch: folder for the file of the best weights when there is no checkpoint folder; None: the system's.

    Raises:
        DataError: no rows, labels all the same (noticed at the end of the first epoch), or a full disk.
        ClickwiseError: the loss is not finite, or the checkpoint is damaged or belongs to another run.
    """
    if not len(train):
        raise DataError("there are no training rows", fix="give more data, or a smaller validation share")
    if valid is not None and not len(valid):
        raise DataError("there are no validation rows", fix="give more data, or a larger validation share")
    checkpoints = None if checkpoint is None else Checkpoints(checkpoint, config, len(train))
    objective = make_objective(model, train, valid, config)
    with (
        _settings(config),
        freed_memory_kept(),
        interruptible() as interrupt,
        best_weights(checkpoint or scratch) as best,
    ):
        run = _Run(model, objective, valid is not None, config, progress or Progress(), interrupt, best)
        return run.run(checkpoints)


@contextmanager
def _settings(config: TrainingConfig) -> Iterator[None]:
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            torch.set_num_threads(config.threads or threads)
            set_threads(config.threads or threads)
            yield
        finally:
            torch.set_num_threads(threads)
            set_threads(threads)


class _Run:
    """One run and where it stands."""

    def __init__(
        self,
        model: Ranker,
        objective: Objective,
        validates: bool,
        config: TrainingConfig,
        progress: Progress,
        interrupt: Interrupt,
        best: BestWeights,
    ) -> None:
        self.model, self.objective, self.validates, self.config = model, objective, validates, config
        self.progress, self.interrupt, self.best = progress, interrupt, best
        self.optimizer = Optimizer(
            model,
            config.optimizer,
            config.embedding_optimizer,
            embedding_l2=config.embedding_l2,
            embedding_decay=config.embedding_decay,
            groups=config.groups,
        )
        self.position = Position()
        self.monitor = monitor_of(config, model)
        self.precision = resolve(config.precision)
        self.batch_size = config.batch_size or default_batch_size(len(objective))
        self.planned_steps = config.epochs * -(-len(objective) // self.batch_size)
        decay = config.average_weights
        self.average = AverageWeights(model, decay, best.path.parent) if decay else None
        self._between_steps = True

    def run(self, checkpoints: Checkpoints | None) -> TrainingResult:
        if checkpoints is not None and (latest := checkpoints.latest()) is not None:
            self.position = checkpoints.load(latest, self.model, self.optimizer, self._state(), self.best.path)
            self.progress.note(f"going on from {latest}: epoch {self.position.epoch + 1}, step {self.position.step}")
        self._started = time.perf_counter() - self.position.seconds
        interrupted = False
        try:
            self._epochs(checkpoints)
        except KeyboardInterrupt:
            interrupted = True
            if self._between_steps:
                self._save(checkpoints)
        finally:
            self.progress.finish()
            self.model.eval()
        p = self.position
        if p.best_step is not None:
            self.best.restore(self.model)
        else:
            self.optimizer.settle()
            if self.average is not None and self.average.taken:
                self.average.exchange()
        return TrainingResult(
            history=p.history,
            best_epoch=p.best_epoch,
            best_step=p.best_step,
            best_metrics=p.best_metrics,
            interrupted=interrupted,
            stopped_early=self._out_of_patience(),
            rows_seen=p.rows_seen,
            seconds=time.perf_counter() - self._started,
            precision=self.precision,
            batch_size=self.batch_size,
        )

    def _epochs(self, checkpoints: Checkpoints | None) -> None:
        while self.position.epoch < self.config.epochs and not self._out_of_patience():
            self.interrupt.check()
            if self._epoch():
                self.position.epoch += 1
                self.position.batch = 0
                self._save(checkpoints)

    def _epoch(self) -> bool:
        """One pass over the rows, or the rest of one; false when it was stopped early."""
        p, c = self.position, self.config
        self.model.train()
        with prefetch(self.objective.steps(self.batch_size, epoch_seed(c.seed, p.epoch), p.batch)) as steps:
            self._start_stage()
            if self._validation_due() and not self._validate():
                return False
            for step in steps:
                self._step(step)
                if self._validation_due():
                    if not self._validate():
                        return False
                    self._start_stage()
                self.interrupt.check()
        self.progress.finish()
        if p.epoch == 0:
            self.objective.check()
        if self.validates and p.validated_step < p.step:
            self._validate()
        elif not self.validates:
            self.optimizer.settle()
            p.loss_sum, p.loss_rows = 0.0, 0
            with self._averaged():
                pass
        return True

    def _step(self, step: Any) -> None:
        p, c = self.position, self.config
        step = self.objective.completed(step, p.epoch)
        if self.optimizer.defers:
            self.optimizer.catch_up(self.objective.rows_of(step))
        with using(self.precision):
            loss = self.objective.loss(step, p.step + 1)
        value = loss.item()
        if not math.isfinite(value):
            raise ClickwiseError(
                f"the training loss is {value} at step {p.step + 1} (epoch {p.epoch + 1}); lower the learning rate, "
                "set training.clip_grad_norm, or look for extreme values in the dense features"
            )
        loss.backward()
        self._between_steps = False
        self.optimizer.learning_rate_multiplier = p.plateau * rate_factor(
            c.schedule, p.step, total=self.planned_steps, warmup=c.warmup_steps, final=c.final_rate
        )
        self.optimizer.step(c.clip_grad_norm)
        p.batch += 1
        p.step += 1
        p.rows_seen += len(step)
        p.loss_sum += value * len(step)
        p.loss_rows += len(step)
        self._between_steps = True
        self.progress.advance(len(step), loss=p.loss_sum / p.loss_rows)

    def _validation_due(self) -> bool:
        p, every = self.position, self.config.validate_every
        return bool(self.validates and every and p.step % every == 0 and p.validated_step < p.step)

    def _validate(self) -> bool:
        """Measure, remember, keep the weights if they are the best; false when patience has run out."""
        p, c = self.position, self.config
        self.optimizer.settle()
        with self._averaged():
            figures = self.objective.validate(self.progress, self.interrupt)
            better = not p.best_metrics or _gain(self.monitor, p.best_metrics, figures) > c.min_delta
            if better:
                self.best.keep(self.model)
        self._between_steps = False
        train_loss = p.loss_sum / p.loss_rows
        seconds = time.perf_counter() - self._started
        epoch = p.epoch + 1
        at = {"epoch": epoch, "step": p.step, "rows_seen": p.rows_seen, "seconds": seconds, "train_loss": train_loss}
        p.history.append({**at, **figures})
        p.validated_step, p.loss_sum, p.loss_rows = p.step, 0.0, 0
        p.stale = 0 if better else p.stale + 1
        if better:
            p.best_step, p.best_epoch, p.best_metrics = p.step, epoch, figures
        else:
            p.plateau *= c.reduce_on_plateau
        self._between_steps = True
        shown = ", ".join(f"{name} {value:.5f}" for name, value in figures.items())
        self.progress.note(f"epoch {epoch}, step {p.step}: {shown}{', best so far' if better else ''}")
        self.progress.validated(p.history[-1])
        return not self._out_of_patience()

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The weights are let into the average, and the model has that in this block; nothing without averaging."""
        if self.average is None:
            yield
            return
        self._between_steps = False
        self.average.take(self.position.step)
        self.average.exchange()
        try:
            yield
        finally:
            self.average.exchange()
            self._between_steps = True  # not so where a second Ctrl-C cut an exchange in half

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.position.stale

    def _start_stage(self) -> None:
        p, c = self.position, self.config
        self.progress.start(f"epoch {p.epoch + 1}/{c.epochs}", max(0, len(self.objective) - p.batch * self.batch_size))

    def _save(self, checkpoints: Checkpoints | None) -> None:
        if checkpoints is not None:
            self.position.seconds = time.perf_counter() - self._started
            checkpoints.save(self.model, self.optimizer, self._state(), self.position, self.best.path)

    def _state(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds beside the model and the optimiser, by the names of its files."""
        average = {} if self.average is None else {"average": self.average.state()}
        return {"objective": self.objective.state(), **average}


def _gain(monitor: str, before: dict[str, float], after: dict[str, float]) -> float:
    """By how much `after` is better: a loss falls, all else rises."""
    change = after[monitor] - before[monitor]
    return -change if monitor.endswith("_loss") else change
