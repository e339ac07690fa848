"""What training reads from (`Rows`), where it stands (`Position`), and what it gives back (`TrainingResult`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from clickwise.batch import Batch


class Rows(Protocol):
    """Encoded rows, such as a data set on disk."""

    def __len__(self) -> int:
        """Rows."""

    def batches(self, batch_size: int, seed: int | None, start: int = 0) -> Iterator[Batch]:
        """Every row once, `batch_size` at a time, in an order that depends on the seed alone (None: as they stand).

        `start` batches are skipped. Batches carry labels.
        """


@dataclass(kw_only=True, slots=True)
class Position:
    """Where a run stands, as plain data: with the weights, all that an exact resume needs.

    Args:
        epoch: passes finished.
        batch: batches done in the current pass.
        step: batches done in all.
        rows_seen: rows of these batches.
        loss_sum: sum over rows of the training loss since the last validation; loss_rows: these rows.
        validated_step: step of the last validation.
        stale: validations since the best one.
        plateau: factor of the learning rates that validations without improvement came to.
        history: one entry a validation.
        best_step, best_epoch, best_metrics: of the best validation so far; None and empty before the first.
        seconds: of training, over all resumed parts.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    rows_seen: int = 0
    loss_sum: float = 0.0
    loss_rows: int = 0
    validated_step: int = 0
    stale: int = 0
    plateau: float = 1.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_step: int | None = None
    best_epoch: int | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """What a run found. The model holds the best weights (the last ones when nothing was validated).

    Args:
        history: one entry a validation: epoch, step, rows_seen, seconds, train_loss, and the validation metrics.
        best_epoch: 1-based epoch in which the best validation fell; None without validation.
        best_step: its step.
        best_metrics: its metrics.
        interrupted: ended by Ctrl-C.
        stopped_early: ended because validations stopped improving.
        rows_seen: rows trained on, every pass counted.
        seconds: wall time of training and validation.
        precision: of the dense layers, "fp32" or "bf16": what "auto" came to.
        batch_size: rows a step, also where the config left it open.
    """

    history: list[dict[str, float]]
    best_epoch: int | None
    best_step: int | None
    best_metrics: dict[str, float]
    interrupted: bool
    stopped_early: bool
    rows_seen: int
    seconds: float
    precision: str
    batch_size: int


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of the row order of one epoch: a hash of both numbers, so that no two epochs or runs share an order."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
