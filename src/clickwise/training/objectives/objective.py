"""`Objective`: what a model is trained for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from clickwise.progress import Progress
from clickwise.training.interrupt import Interrupt


class Objective(ABC):
    """How rows become steps, the loss of a step, and what a validation measures. A step has a length, its rows."""

    @abstractmethod
    def __len__(self) -> int:
        """Rows of a pass, or about as many."""

    @abstractmethod
    def steps(self, batch_size: int, seed: int, start: int) -> Iterator[Any]:
        """One pass, without the first `start` steps. Made in a thread ahead of training: it must not touch the model's
        weights. What it draws depends on the seed and the number of a step alone.
        """

    def completed(self, step: Any, epoch: int) -> Any:
        """The step with what only the weights as they are now can tell; called before anything else is done with it.

        Args:
            epoch: passes done before this one.
        """
        return step

    @abstractmethod
    def rows_of(self, step: Any) -> Tensor:
        """The table rows that a step looks up, each once [U] int32."""

    @abstractmethod
    def loss(self, step: Any, number: int) -> Tensor:
        """What a step, the `number`th of the run from 1, minimises."""

    @abstractmethod
    def check(self) -> None:
        """Called after the first pass.

        Raises:
            DataError: the rows it saw cannot teach anything.
        """

    @abstractmethod
    def validate(self, progress: Progress, interrupt: Interrupt) -> dict[str, float]:
        """Metrics of the validation rows; higher is better, but for those called `..._loss`.

        Raises:
            DataError: nothing can be measured.
            KeyboardInterrupt: asked for meanwhile.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What a run must remember to go on exactly: the live tensors, not copies."""
