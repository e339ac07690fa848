"""How the driver of the benchmarks speaks with a system that runs in an environment of its own.

One JSON object a line. The driver sends `{"do": ...}`, the system answers `{...}`, or `{"error": "..."}` and ends:

    prepare  task (the fields of `Task`)      -> notes, versions
    run      warm, steps                      -> seconds      time of `steps` training steps after `warm` uncounted ones
    score    out                              -> (nothing)    what `System.scores` gives, written as .npy
    memory                                    -> peak_bytes   largest resident memory of this process so far
    stop                                      -> (ends)

A system gives its library's own training loop and tells after every step: the loop is held between two steps while
other systems have their turn, and is otherwise just what a user of that library runs. This file is read by every
environment: it needs NumPy and nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Task:
    """What to train, the same for every system.

    Args:
        data: folder with ids.npy [rows, F] int32 (from 0 in each field), label.npy [rows] float32, test_ids.npy,
            test_label.npy, num_ids.npy [F] int64; for two towers also catalogue.npy [C, F of items] int32, the last
            fields of every item.
        model: "deepfm", "wide_deep", "dcn_v2", "fm" or "lr"; or "two_tower".
        rule: how the tables are updated, for systems that leave the choice; "" is their default.
        precision: "fp32" or "bf16".
        scratch: a folder of this system for whatever it must write.
    """

    data: str
    model: str
    rule: str
    precision: str
    scratch: str
    embedding_dim: int
    hidden_dims: list[int]
    num_cross_layers: int
    batch_size: int
    threads: int
    seed: int

    def array(self, name: str) -> np.ndarray:
        """One of the arrays of the data, mapped into memory and not read."""
        return np.load(Path(self.data) / f"{name}.npy", mmap_mode="r")

    @cached_property
    def num_ids(self) -> list[int]:
        """Ids of each field."""
        return self.array("num_ids").tolist()

    def columns(self, part: str = "") -> dict[str, np.ndarray]:
        """The ids as one contiguous int32 column a field, `c0` and so on; part is "" or "test_"."""
        ids = self.array(f"{part}ids")
        return {f"c{f}": np.ascontiguousarray(ids[:, f]) for f in range(ids.shape[1])}


class NoSuchModel(Exception):
    """The library has no such model."""


class Stop(BaseException):
    """Ends a training loop from within. Not an `Exception`, so that no library swallows it."""


class System(ABC):
    """One library, doing one task."""

    packages: tuple[str, ...] = ("torch",)
    """Whose versions to report."""
    notes: str = ""
    """What is not the same as in the other systems."""

    @abstractmethod
    def prepare(self, task: Task) -> None:
        """Build the model.

        Raises:
            NoSuchModel: the library has none of this name.
        """

    @abstractmethod
    def train(self, after_step: Callable[[], None]) -> None:
        """Train as a user of the library does, calling `after_step` after every step, which raises `Stop` to end."""

    @abstractmethod
    def scores(self) -> np.ndarray:
        """Click probabilities of the test rows; of two towers, the vectors of their queries and then of all items.

        Called between two steps. Training must go on unharmed afterwards.
        """

    def close(self) -> None:
        """End what the library started outside this process; called last."""
        return


class Turns:
    """Holds a training loop between its steps until the driver wants some more of them."""

    def __init__(self, system: System, channel: Channel) -> None:
        self._system, self._channel = system, channel
        self._left, self._started, self._steps = 0, 0.0, 0

    def wait(self) -> None:
        """Answer the driver until it asks for steps."""
        while True:
            request = self._channel.receive()
            match request["do"]:
                case "run":
                    self._steps, self._left = request["steps"], request["warm"] + request["steps"]
                    self._started = time.perf_counter()
                    return
                case "score":
                    np.save(request["out"], self._system.scores())
                    self._channel.send({})
                case "memory":
                    self._channel.send({"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})
                case "stop":
                    raise Stop
                case other:
                    raise ValueError(f"unknown request {other}")

    def after_step(self, *_: Any) -> None:
        """Count a step; at the end of the turn, answer and wait for the next one."""
        self._left -= 1
        if self._left == self._steps:
            self._started = time.perf_counter()
        elif self._left == 0:
            self._channel.send({"seconds": time.perf_counter() - self._started})
            self.wait()


class Channel:
    """Requests on stdin, answers on the pipe whose number is the first argument: a library may print what it likes."""

    def __init__(self) -> None:
        self._requests, self._answers = sys.stdin, os.fdopen(int(sys.argv[1]), "w")

    def receive(self) -> dict[str, Any]:
        line = self._requests.readline()
        if not line:
            raise Stop  # the driver is gone
        return json.loads(line)

    def send(self, answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)


def serve(system: System) -> None:
    """Do what the driver says until it says stop."""
    channel = Channel()
    try:
        task = Task(**channel.receive()["task"])
        system.prepare(task)
        channel.send({"notes": system.notes, "versions": {name: version(name) for name in system.packages}})
        turns = Turns(system, channel)
        turns.wait()
        system.train(turns.after_step)
        raise RuntimeError("the training rows were used up")
    except Stop:
        pass
    except NoSuchModel:
        channel.send({"error": "no such model"})
    except Exception as error:  # noqa: BLE001 - the driver shows it in its table
        traceback.print_exc()
        channel.send({"error": f"{type(error).__name__}: {error}"})
    system.close()
    sys.stderr.flush()
    os._exit(0)  # without waiting for the workers that a library left behind


def use_torch_threads(count: int) -> None:
    """Limit torch and whatever OpenMP it brings."""
    import torch

    torch.set_num_threads(count)


def after_every_torch_step(after_step: Callable[[], None]) -> None:
    """Call `after_step` after every step of any torch optimiser of this process."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    register_optimizer_step_post_hook(lambda *_: after_step())
