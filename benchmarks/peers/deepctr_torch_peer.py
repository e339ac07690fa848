"""DeepCTR-Torch: `fit` as in its README."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import DCN, WDL, DeepFM
from deepctr_torch.models.basemodel import BaseModel

from protocol import NoSuchModel, System, Task, after_every_torch_step, serve, use_torch_threads


class DeepCTRTorch(System):
    packages = ("torch", "deepctr-torch")
    notes = "Adam and L2 of 1e-5 over the whole tables; no metrics computed while training"

    def prepare(self, task: Task) -> None:
        use_torch_threads(task.threads)
        self.task = task
        self.model = build(task)
        self.model.compile("adam", "binary_crossentropy", metrics=[])

    def train(self, after_step: Callable[[], None]) -> None:
        after_every_torch_step(after_step)
        label = np.array(self.task.array("label"))
        self.model.fit(self.task.columns(), label, batch_size=self.task.batch_size, epochs=1, verbose=0)

    def scores(self) -> np.ndarray:
        probability = self.model.predict(self.task.columns("test_"), batch_size=8192)
        self.model.train()
        return probability.ravel()


def build(task: Task) -> BaseModel:
    columns = [SparseFeat(f"c{f}", n, embedding_dim=task.embedding_dim) for f, n in enumerate(task.num_ids)]
    hidden = tuple(task.hidden_dims)
    match task.model:
        case "deepfm":
            return DeepFM(columns, columns, dnn_hidden_units=hidden, seed=task.seed)
        case "wide_deep":
            return WDL(columns, columns, dnn_hidden_units=hidden, seed=task.seed)
        case "dcn_v2":
            crosses = {"cross_num": task.num_cross_layers, "cross_parameterization": "matrix"}
            return DCN(columns, columns, dnn_hidden_units=hidden, seed=task.seed, **crosses)
        case "fm":
            return DeepFM(columns, columns, dnn_hidden_units=(), seed=task.seed)
        case "lr":
            return WDL(columns, [], seed=task.seed)
        case _:
            raise NoSuchModel


if __name__ == "__main__":
    serve(DeepCTRTorch())
