"""Checkpoints: everything an exact resume needs, in one folder of safetensors and JSON that is whole or not there."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor, nn

from clickwise.atomic import whole_folder
from clickwise.bundle.tensors import load_into, save_tensors
from clickwise.errors import ClickwiseError, ConfigError
from clickwise.optim import Optimizer
from clickwise.training.config import TrainingConfig, training_config_to_data
from clickwise.training.state import Position

_States = dict[str, dict[str, Tensor]]
_FORMAT_VERSION = 2
_MAY_CHANGE = ("epochs", "patience", "threads")
"""Keys that may differ on resume: they change when training ends or how fast it is, not what a step does.
Where a schedule spans all planned steps, `epochs` is no such key."""


class Checkpoints:
    """The checkpoints of one run: `folder/step-<n>/`, the newest whole one is the one that counts, older ones go.

    step-<n>/model.safetensors, optimizer.safetensors, objective.safetensors, average.safetensors (where weights are
    averaged), random.safetensors (torch's generator), best.safetensors (after a first validation), and run.json
    (position, history, training config, rows of the training set).

    Args:
        folder: of the run.
        config: of the training.
        num_rows: rows of the training set.
    """

    def __init__(self, folder: Path, config: TrainingConfig, num_rows: int) -> None:
        self.folder = folder
        for killed in (*folder.glob(".step-*"), *folder.glob(".clickwise-best-*")):  # left by a run that was killed
            shutil.rmtree(killed, ignore_errors=True)
        self._run = {"format_version": _FORMAT_VERSION, "num_rows": num_rows, "config": training_config_to_data(config)}

    def latest(self) -> Path | None:
        """The newest whole checkpoint; None when there is none."""
        found = [p for p in self.folder.glob("step-*") if (p / "run.json").is_file()]
        return max(found, key=lambda p: int(p.name.removeprefix("step-")), default=None)

    def save(self, model: nn.Module, optimizer: Optimizer, others: _States, position: Position, best: Path) -> None:
        """Write a checkpoint of `position`, then remove the older ones.

        `others` is more state, by the names of its files.

        Raises:
            DataError: the disk is full or cannot be written to; the previous checkpoint stays.
        """
        target = self.folder / f"step-{position.step:09d}"
        with whole_folder(target) as new:
            save_tensors(model.state_dict(), new / "model.safetensors")
            save_tensors(optimizer.state_dict(), new / "optimizer.safetensors")
            for name, state in others.items():
                save_tensors(state, new / f"{name}.safetensors")
            save_tensors({"torch": torch.get_rng_state()}, new / "random.safetensors")
            if position.best_step is not None:
                _link(best, new / "best.safetensors")
            run = {**self._run, "position": dataclasses.asdict(position)}
            (new / "run.json").write_text(json.dumps(run, indent=1), encoding="utf-8")
        for old in self.folder.glob("step-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)

    def load(self, folder: Path, model: nn.Module, optimizer: Optimizer, others: _States, best: Path) -> Position:
        """Bring model, optimiser, `others`, torch's generator and the best weights back to where `folder` was saved.

        Raises:
            ConfigError: it was saved by a run with another training config or other data.
            ClickwiseError: it is damaged or of another model.
        """
        try:
            run: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            self._require_same_run(folder, run)
            state = optimizer.state_dict()
            load_into(model.state_dict(), folder / "model.safetensors")
            load_into(state, folder / "optimizer.safetensors")
            optimizer.load_state_dict(state)
            for name, tensors in others.items():
                load_into(tensors, folder / f"{name}.safetensors")
            random: dict[str, Tensor] = {"torch": torch.empty_like(torch.get_rng_state())}
            load_into(random, folder / "random.safetensors")
            position = Position(**run["position"])
            if position.best_step is not None:
                _link(folder / "best.safetensors", best)
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise ClickwiseError(
                f"{folder}: cannot be resumed from ({error}); remove it to start again from the beginning"
            ) from error
        torch.set_rng_state(random["torch"])
        return position

    def _require_same_run(self, folder: Path, run: dict[str, Any]) -> None:
        if run["format_version"] != _FORMAT_VERSION:
            raise ValueError(f"format version {run['format_version']}, this clickwise reads {_FORMAT_VERSION}")
        then, now = run["config"], self._run["config"]
        assert isinstance(now, dict)
        scheduled = {"epochs"} if now["schedule"] != "constant" else set()
        for key in sorted((then.keys() | now.keys()) - (set(_MAY_CHANGE) - scheduled)):
            if then.get(key) != now.get(key):
                raise ConfigError(
                    f"training.{key}",
                    f"got {now.get(key)!r}, but {folder} was made with {then.get(key)!r}; "
                    "use that, or remove the checkpoint to start again",
                )
        if run["num_rows"] != self._run["num_rows"]:
            raise ConfigError(
                str(folder), f"was made with {run['num_rows']} training rows, now there are {self._run['num_rows']}"
            )


def _link(source: Path, target: Path) -> None:
    """The same content at `target`: a hard link where the file system has them, else a copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
