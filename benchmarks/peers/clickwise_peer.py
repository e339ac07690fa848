"""clickwise: `train_model` over encoded rows in a file, as `clickwise train` calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clickwise import native
from clickwise.bundle.bundle import batch_logits
from clickwise.data.dataset import EncodedPart, row_dtype
from clickwise.models import FM, LR, DCNv2, DeepFM, WideDeep, build_model
from clickwise.optim import Adagrad, Adam, RowwiseAdagrad
from clickwise.progress import Progress
from clickwise.schema import Field, InputSpec
from clickwise.training import TrainingConfig, train_model
from protocol import NoSuchModel, System, Task, serve

RULES = {"": None, "adam": Adam.Config(), "adagrad": Adagrad.Config(learning_rate=0.02)}
RULES |= {"rowwise_adagrad": RowwiseAdagrad.Config(learning_rate=0.02)}


class StepListener(Progress):
    """Tells after every training step."""

    def __init__(self, after_step: Callable[[], None]) -> None:
        self.after_step = after_step

    def advance(self, rows: int, **figures: float) -> None:
        self.after_step()


class Clickwise(System):
    packages = ("torch", "clickwise")

    def prepare(self, task: Task) -> None:
        torch.set_num_threads(task.threads)
        native.set_threads(task.threads)
        rule = RULES[task.rule] or TrainingConfig().embedding_optimizer or TrainingConfig().optimizer
        kernels = native.tier().name.lower()
        self.notes = f"tables: {type(rule).__qualname__.split('.')[0]} on the rows touched; rest: Adam; {kernels}"
        self.task = task
        self.inputs = InputSpec(fields=tuple(Field(name=f"c{f}", num_ids=n) for f, n in enumerate(task.num_ids)))
        self.rows = encode(task, "", self.inputs)
        base_rate = self.rows.positives / len(self.rows)
        self.model = build_model(model_config(task), self.inputs, task.seed, base_rate)
        told: dict[str, Any] = {"seed": task.seed, "threads": task.threads, "precision": task.precision}
        self.config = TrainingConfig(epochs=1000, batch_size=task.batch_size, embedding_optimizer=rule, **told)

    def train(self, after_step: Callable[[], None]) -> None:
        scratch = Path(self.task.scratch)
        train_model(self.model, self.rows, None, self.config, StepListener(after_step), scratch=scratch)

    def scores(self) -> np.ndarray:
        test = encode(self.task, "test_", self.inputs)
        self.model.eval()
        logit = np.concatenate([batch_logits(self.model, batch) for batch in test.batches(16_384, None)])
        self.model.train()
        return 1.0 / (1.0 + np.exp(-logit.astype(np.float64)))


def encode(task: Task, part: str, inputs: InputSpec) -> EncodedPart:
    """The rows of a part as the data floor writes them; once, the file stays in the scratch folder."""
    path = Path(task.scratch) / f"{part}rows"
    offsets = np.array(list(inputs.offsets()), np.int32)
    ids, label = task.array(f"{part}ids"), task.array(f"{part}label")
    if not path.exists():
        with path.open("wb") as file:
            for i in range(0, len(label), 65_536):
                rows = np.zeros(len(label[i : i + 65_536]), row_dtype(inputs))
                rows["sparse"], rows["label"] = ids[i : i + 65_536] + offsets, label[i : i + 65_536]
                rows["weight"] = 1.0
                rows.tofile(file)
    return EncodedPart(path, inputs, weighted=False)


def model_config(task: Task) -> Any:
    wide = {"embedding_dim": task.embedding_dim, "hidden_dims": tuple(task.hidden_dims)}
    configs = {
        "deepfm": lambda: DeepFM.Config(**wide),
        "wide_deep": lambda: WideDeep.Config(**wide),
        "dcn_v2": lambda: replace(DCNv2.Config(**wide), num_cross_layers=task.num_cross_layers, structure="parallel"),
        "fm": lambda: FM.Config(embedding_dim=task.embedding_dim),
        "lr": lambda: LR.Config(),
    }
    if task.model not in configs:
        raise NoSuchModel
    return configs[task.model]()


if __name__ == "__main__":
    serve(Clickwise())
