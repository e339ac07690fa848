"""`suggest_crosses`: which crosses are worth declaring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clickwise.config import require
from clickwise.data.encode import prepare
from clickwise.data.open import open_source
from clickwise.errors import DataError
from clickwise.evaluation import cross_gains
from clickwise.metrics.logistic import LogisticSums
from clickwise.models import LR, build_model
from clickwise.pipeline.parts import scored_rows
from clickwise.pipeline.training import resolve_schema
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.run_config import run_config
from clickwise.summaries import CrossesSummary
from clickwise.training import train_model


def suggest_crosses(
    data: Any,
    *,
    label: str | None = None,
    top: int = 10,
    config: str | Path | Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> CrossesSummary:
    """Measure what the cross of each pair of features would add to logistic regression, on the validation rows.

    The test part is not looked at. Of a part of more than a million rows, a random million is.

    Args:
        data, label, config, settings: as for `train`; `[model]` is not used.
        top: pairs to report.

    Raises:
        ConfigError: a key or value that is not allowed.
        DataError: data that is missing or cannot be used; no validation rows.
    """
    require(top >= 1, "top", top, "a whole number from 1")
    progress = progress or default_progress()
    run = run_config(config, label=label, settings=settings)
    source = open_source(data, run.data, progress)
    prepared = prepare(source, resolve_schema(source, run, progress), run.data, progress=progress)
    if prepared.valid is None:
        raise DataError("no validation rows", file=source.name, fix="set data.valid_fraction above 0")
    pipeline = prepared.pipeline
    base = build_model(LR.Config(), pipeline.inputs, run.training.seed, prepared.base_rate)
    train_model(base, prepared.train, prepared.valid, run.training, progress)
    train, valid = (scored_rows(base, part, run.training.seed) for part in (prepared.train, prepared.valid))
    gains = cross_gains(train, valid, pipeline.inputs, [f.of for f in pipeline.schema.crosses], progress)
    names = {f.name for f in pipeline.schema.features}
    return CrossesSummary(
        source.name, LogisticSums.of(valid.logit, valid.label, valid.weight).log_loss, gains, names, top
    )
