"""Training to tell clicks from the rest: the logistic loss."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from clickwise.batch import Batch
from clickwise.errors import ClickwiseError, DataError
from clickwise.losses import binary_cross_entropy
from clickwise.models import Ranker
from clickwise.progress import Progress
from clickwise.registry import models
from clickwise.training.config import TrainingConfig
from clickwise.training.interrupt import Interrupt
from clickwise.training.objectives.click_metrics import validate
from clickwise.training.objectives.objective import Objective
from clickwise.training.objectives.sampling import SampledRows
from clickwise.training.state import Rows


class ClickObjective(Objective):
    """The logistic loss of each row's logit, and log loss and AUC of the validation rows."""

    def __init__(self, model: Ranker, train: Rows, valid: Rows | None, config: TrainingConfig) -> None:
        keep_rate = config.negative_keep_rate
        self._model, self._valid = model, valid
        self._rows = SampledRows(train, keep_rate) if keep_rate < 1.0 else train
        self._shift, self._smoothing = math.log(keep_rate), config.label_smoothing
        self._seen = torch.zeros(2, dtype=torch.int64)  # labels of 0 and of 1 in the first pass

    def __len__(self) -> int:
        return len(self._rows)

    def steps(self, batch_size: int, seed: int, start: int) -> Iterator[Batch]:
        groups = self._model.slot_starts()
        for batch in self._rows.batches(batch_size, seed, start):
            batch.distinct_of(groups)
            yield batch

    def rows_of(self, step: Batch) -> Tensor:
        return step.distinct_of(self._model.slot_starts()).rows

    def loss(self, step: Batch, number: int) -> Tensor:
        assert step.label is not None
        clicks = int(step.label.sum())
        self._seen += torch.tensor([len(step) - clicks, clicks])
        logit = self._model(step)
        if not isinstance(logit, Tensor) or logit.shape != step.label.shape:
            given = f"logits of shape {list(logit.shape)}" if isinstance(logit, Tensor) else type(logit).__name__
            raise ClickwiseError(
                f"model {models.name_of(self._model.config)}: its forward gives {given} for a batch of {len(step)} "
                f"rows, wanted is [B], here [{len(step)}]: one logit a row"
            )
        logit = logit - self._shift if self._shift else logit
        return binary_cross_entropy(logit, step.label, step.weight, smoothing=self._smoothing)

    def check(self) -> None:
        if not self._seen.all():
            raise DataError(
                f"all {int(self._seen.sum()):,} training labels are {int(self._seen[1] > 0)}",
                fix="a model needs rows with and without a click; check the label column",
            )

    def validate(self, progress: Progress, interrupt: Interrupt) -> dict[str, float]:
        assert self._valid is not None
        return validate(self._model, self._valid, progress, interrupt)

    def state(self) -> dict[str, Tensor]:
        return {"labels_seen": self._seen}
