"""clickwise: `train_model` of two towers over encoded rows in a file, as `clickwise train` calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from clickwise import native
from clickwise.batch import Batch
from clickwise.models import TwoTower, build_model
from clickwise.schema import Field, InputSpec
from clickwise.training import TrainingConfig, train_model
from clickwise_peer import RULES, StepListener, encode
from protocol import System, Task, serve

ROWS_AT_ONCE = 16_384


class ClickwiseTowers(System):
    packages = ("torch", "clickwise")

    def prepare(self, task: Task) -> None:
        torch.set_num_threads(task.threads)
        native.set_threads(task.threads)
        rule = RULES[task.rule] or TrainingConfig().embedding_optimizer or TrainingConfig().optimizer
        kernels = native.tier().name.lower()
        name = type(rule).__qualname__.split(".")[0]
        how = "softmax over distinct items, corrected as it learns"
        self.notes = f"tables: {name} on the rows touched; rest: Adam; {how}; {kernels}"
        self.task = task
        self.catalogue = np.array(task.array("catalogue"))
        fields = tuple(Field(name=f"c{f}", num_ids=n) for f, n in enumerate(task.num_ids))
        self.of_query = len(fields) - self.catalogue.shape[1]
        self.inputs = InputSpec(fields=fields, item=tuple(field.name for field in fields[self.of_query :]))
        self.rows = encode(task, "", self.inputs)
        config = TwoTower.Config(embedding_dim=task.embedding_dim, hidden_dims=tuple(task.hidden_dims))
        self.model = build_model(config, self.inputs, task.seed)
        told = {"seed": task.seed, "threads": task.threads, "precision": task.precision}
        self.config = TrainingConfig(epochs=1000, batch_size=task.batch_size, embedding_optimizer=rule, **told)

    def train(self, after_step: Callable[[], None]) -> None:
        scratch = Path(self.task.scratch)
        train_model(self.model, self.rows, None, self.config, StepListener(after_step), scratch=scratch)

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        offsets = np.array(self.inputs.offsets(), np.int32)
        query, item = np.split(offsets, [self.of_query])
        self.model.eval()
        parts = [self.model.query(b) for b in batches(self.task.array("test_ids")[:, : self.of_query] + query)]
        parts += [self.model.item(b) for b in batches(self.catalogue + item)]
        self.model.train()
        return torch.cat(parts).numpy()


def batches(rows: np.ndarray) -> list[Batch]:
    """Table rows [n, S] of one side, some at a time."""
    starts = range(0, len(rows), ROWS_AT_ONCE)
    pieces = (np.ascontiguousarray(rows[i : i + ROWS_AT_ONCE]) for i in starts)
    return [Batch.of(piece, np.empty((len(piece), 0), np.float32)) for piece in pieces]


if __name__ == "__main__":
    serve(ClickwiseTowers())
