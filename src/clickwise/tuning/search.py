"""`tune`: one training run a trial on rows that are prepared once; what validates best is written as a config."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clickwise.atomic import whole_file
from clickwise.config import read_toml, require
from clickwise.data.encode import prepare
from clickwise.data.open import open_source
from clickwise.data.prepared import Prepared
from clickwise.errors import DataError
from clickwise.models import build_model
from clickwise.pipeline import resolve_schema
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.registry import models
from clickwise.run_config import RunConfig, run_config
from clickwise.training import TrainingResult, monitor_of, train_model
from clickwise.tuning.space import search_space
from clickwise.tuning.study import Study, optuna_module
from clickwise.tuning.summary import TuningSummary

BEST = "best.toml"


def tune(
    config: str | Path | Mapping[str, Any],
    data: Any,
    *,
    trials: int,
    out: str | Path,
    label: str | None = None,
    model: str | None = None,
    valid: Any = None,
    seed: int = 1,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> TuningSummary:
    """Search the keys in the `[tune]` section of `config`, by TPE, for the best `training.monitor` on validation rows.

    A trial is pruned when, at one of its validations, it is worse than the median of the trials before. Rows are
    prepared once, and a test part of them is never read. Trials are kept in `out`/journal.jsonl; the same call goes on
    from them. The best run so far is `out`/best.toml, a config for `clickwise train`.

    Args:
        config: a run's config with a section `[tune]`: see `clickwise.tuning.space`.
        trials: runs in all, those of earlier calls included.
        seed: of the search; each run has the seed of its config.
        label, model, valid, settings: as for `clickwise.train`.

    Raises:
        MissingExtraError: Optuna is not installed.
        ConfigError: a key or value that is not allowed; `out` holds another search.
        DataError: data that cannot be used, or no validation rows.
    """
    optuna_module()
    require(trials >= 1, "--trials", trials, "a whole number >= 1")
    require(seed >= 0, "--seed", seed, "a whole number >= 0")
    progress, out = progress or default_progress(), Path(out)
    sections = dict(read_toml(config) if isinstance(config, str | Path) else config)
    space = search_space(sections.pop("tune", {}))

    def run_of(found: Sequence[str]) -> RunConfig:
        return run_config(sections, label=label, model=model, settings=[*settings, *found])

    for end in space.ends():
        run_of([end])
    run = run_of(())
    source = open_source(data, run.data, progress)
    schema = resolve_schema(source, run, progress)
    valid_source = None if valid is None else open_source(valid, run.data, progress)
    rows = prepare(source, schema, run.data, valid=valid_source, progress=progress)
    if rows.valid is None:
        raise DataError("there are no validation rows to choose by", fix="give --valid, or data.valid_fraction")
    prints = [None if part is None else part.fingerprint() for part in (source, valid_source)]
    code = type(run.model).__module__
    asked = json.dumps([run.to_toml(schema), repr(space), seed, code, prints])
    monitor = monitor_of(run.training, models.get(models.name_of(run.model)))
    study = Study(out, space, monitor, seed, hashlib.sha256(asked.encode()).hexdigest())
    going_on = True
    while going_on and len(study.trials()) < trials:
        progress.note(f"trial {len(study.trials()) + 1} of {trials}")
        going_on = study.trial(lambda found, tell: _train(run_of(found), rows, _Telling(progress, monitor, tell)))
    best = study.best()
    if best is not None:
        with whole_file(out / BEST) as file:
            file.write_text(run_of(best.settings).to_toml(schema), encoding="utf-8")
    return TuningSummary(monitor, study.trials(), None if best is None else best.number, out, not going_on)


def _train(run: RunConfig, rows: Prepared, progress: Progress) -> TrainingResult:
    ranker = build_model(run.model, rows.pipeline.inputs, run.training.seed, rows.base_rate)
    return train_model(ranker, rows.train, rows.valid, run.training, progress)


class _Telling(Progress):
    """Passes everything on, and tells a search what each validation gave."""

    def __init__(self, inner: Progress, monitor: str, tell: Callable[[float], None]) -> None:
        self._inner, self._monitor, self._tell = inner, monitor, tell

    def start(self, stage: str, total_rows: int | None = None) -> None:
        self._inner.start(stage, total_rows)

    def advance(self, rows: int, **figures: float) -> None:
        self._inner.advance(rows, **figures)

    def finish(self) -> None:
        self._inner.finish()

    def note(self, text: str) -> None:
        self._inner.note(text)

    def warn(self, text: str) -> None:
        self._inner.warn(text)

    def validated(self, figures: Mapping[str, float]) -> None:
        self._tell(figures[self._monitor])
