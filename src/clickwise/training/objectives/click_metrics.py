"""Scores rows with a model and measures the result, in one pass."""

from __future__ import annotations

import math

import torch

from clickwise.errors import DataError
from clickwise.metrics import StreamingMetrics
from clickwise.models import Ranker
from clickwise.progress import Progress
from clickwise.training.interrupt import Interrupt
from clickwise.training.prefetch import prefetch
from clickwise.training.state import Rows

VALIDATION_METRICS = ("log_loss", "roc_auc")
_BATCH_SIZE = 16_384


def validate(model: Ranker, rows: Rows, progress: Progress, interrupt: Interrupt) -> dict[str, float]:
    """`VALIDATION_METRICS` of the model on `rows`. The model is left in the mode it was in.

    Raises:
        DataError: the labels are all the same, so that nothing can be measured.
        KeyboardInterrupt: asked for meanwhile.
    """
    metrics = StreamingMetrics(VALIDATION_METRICS)
    was_training = model.training
    model.eval()
    progress.start("validate", len(rows))
    try:
        with prefetch(rows.batches(_BATCH_SIZE, None)) as batches, torch.inference_mode():
            for batch in batches:
                interrupt.check()
                assert batch.label is not None
                weight = None if batch.weight is None else batch.weight.numpy()
                metrics.update(model(batch).numpy(), batch.label.numpy(), weight)
                progress.advance(len(batch))
    finally:
        model.train(was_training)
        progress.finish()
    figures = {name: float(value) for name, value in metrics.compute().items()}
    if math.isnan(figures["roc_auc"]):
        raise DataError(
            "validation rows all have the same label", fix="give more validation rows, or a split that has both labels"
        )
    return figures
