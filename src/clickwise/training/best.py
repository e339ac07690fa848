"""Keeps the best weights of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from clickwise.atomic import whole_file
from clickwise.bundle.tensors import load_into, save_tensors


class BestWeights:
    """The best weights, in a file: one copy of the model on disk, none in memory.

    A copy in memory would double what a large table takes. The file is written without a copy; the operating system
    keeps it in its page cache while there is room.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "best.safetensors"

    def keep(self, model: nn.Module) -> None:
        """Take the model's weights as the best ones.

        Raises:
            DataError: the disk is full or cannot be written to.
        """
        with whole_file(self.path) as file:
            save_tensors(model.state_dict(), file)

    def restore(self, model: nn.Module) -> None:
        """Give the best weights back to the model."""
        load_into(model.state_dict(), self.path)


@contextmanager
def best_weights(scratch: Path | None) -> Iterator[BestWeights]:
    """A `BestWeights` in a temporary folder inside `scratch` (None: the system's), gone when the block ends."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".clickwise-best-", dir=scratch) as folder:
        yield BestWeights(Path(folder))
