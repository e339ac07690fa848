"""The trials of a search, by Optuna: which values come next, which runs are stopped, and a journal of them all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from clickwise.errors import ClickwiseError, ConfigError, MissingExtraError
from clickwise.training import TrainingResult
from clickwise.tuning.space import SearchSpace
from clickwise.tuning.summary import Trial

JOURNAL = "journal.jsonl"
_NAME = "clickwise"

Work = Callable[[list[str], Callable[[float], None]], TrainingResult]
"""Trains with some settings, telling the validation figures as they come; what telling raises ends the run."""


def optuna_module() -> Any:
    """Optuna.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module("optuna")
    except ImportError:
        raise MissingExtraError("a search", "tune") from None


class Study:
    """A search that goes on from its journal.

    The values of the n-th trial depend on the seed, n and the trials before: a search that was stopped and called again
    ends with the trials of one that was not.

    Args:
        out: its folder.
        space: what is searched.
        monitor: a metric of validations: a loss should be low, all else high.
        seed: of the search.
        asked: a digest of everything that the trials depend on.

    Raises:
        MissingExtraError: Optuna is not installed.
        ConfigError: the journal in `out` is of another search.
    """

    def __init__(self, out: Path, space: SearchSpace, monitor: str, seed: int, asked: str) -> None:
        optuna = self._optuna = optuna_module()
        out.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.seed = space, seed
        self._best_of: Callable[..., Any] = min if monitor.endswith("_loss") else max
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(out / JOURNAL))),
            study_name=_NAME,
            direction="minimize" if monitor.endswith("_loss") else "maximize",
            pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )
        if self._study.user_attrs.setdefault("asked", asked) != asked:
            problem = "holds a search with another config, other data or another seed; choose another folder"
            raise ConfigError("--out", f"{out} {problem}")
        self._study.set_user_attr("asked", asked)

    def trial(self, work: Work) -> bool:
        """One more trial; false when the user stopped it, which leaves it to be made again."""
        optuna = self._optuna
        number = len(self.trials())
        seed = int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        trial = self._study.ask()
        settings = self.space.suggest(trial)
        trial.set_user_attr("settings", settings)
        figures: list[float] = []

        def tell(figure: float) -> None:
            figures.append(figure)
            trial.report(figure, len(figures))
            if trial.should_prune():
                raise optuna.TrialPruned

        states = optuna.trial.TrialState
        try:
            result = work(settings, tell)
        except optuna.TrialPruned:
            self._study.tell(trial, state=states.PRUNED)
        except ConfigError:
            self._study.tell(trial, state=states.FAIL)
            raise
        except ClickwiseError as error:  # such as a loss that is not finite: a finding about these values
            trial.set_user_attr("error", str(error))
            self._study.tell(trial, state=states.FAIL)
        else:
            if result.interrupted:
                self._study.tell(trial, state=states.FAIL)
                return False
            self._study.tell(trial, self._best_of(figures))
        return True

    def trials(self) -> list[Trial]:
        """Those that came to an end, in order."""
        return [
            Trial(
                number=number,
                state={"COMPLETE": "complete", "PRUNED": "pruned"}.get(found.state.name, "failed"),
                value=self._best_of(found.intermediate_values.values(), default=None),
                settings=tuple(found.user_attrs["settings"]),
                seconds=found.duration.total_seconds(),
                error=found.user_attrs.get("error", ""),
            )
            for number, found in enumerate(filter(_ended, self._study.get_trials(deepcopy=False)))
        ]

    def best(self) -> Trial | None:
        """The best of those that were completed, the first of equals."""
        completed = [trial for trial in self.trials() if trial.state == "complete" and trial.value is not None]
        best: Trial | None = self._best_of(completed, key=lambda trial: trial.value, default=None)
        return best


def _ended(trial: Any) -> bool:
    """Whether a trial of the journal counts: not one that was stopped or killed, which is made again."""
    return trial.state.name in ("COMPLETE", "PRUNED") or "error" in trial.user_attrs
