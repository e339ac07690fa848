"""torch-rechub: `CTRTrainer.fit` as in its examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.ranking import DCNv2, DeepFM, WideDeep
from torch_rechub.trainers import CTRTrainer
from torch_rechub.utils.data import DataGenerator

from protocol import NoSuchModel, System, Task, after_every_torch_step, serve, use_torch_threads


class TorchRechub(System):
    packages = ("torch", "torch-rechub")
    notes = "Adam and weight decay of 1e-5 over the whole tables; first order is a linear map of the vectors"

    def prepare(self, task: Task) -> None:
        use_torch_threads(task.threads)
        torch.manual_seed(task.seed)
        self.task = task
        self.model = build(task)

    def train(self, after_step: Callable[[], None]) -> None:
        after_every_torch_step(after_step)
        data = DataGenerator(self.task.columns(), np.array(self.task.array("label")))
        batches, _, _ = data.generate_dataloader(split_ratio=[1.0, 0.0], batch_size=self.task.batch_size)
        CTRTrainer(self.model, n_epoch=1, model_path=self.task.scratch).fit(batches)

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        columns = {name: torch.from_numpy(column) for name, column in self.task.columns("test_").items()}
        self.model.eval()
        rows = range(0, len(columns["c0"]), 8192)
        parts = [self.model({name: column[i : i + 8192] for name, column in columns.items()}) for i in rows]
        self.model.train()
        return torch.cat(parts).numpy()


def build(task: Task) -> torch.nn.Module:
    fields = [SparseFeature(f"c{f}", vocab_size=n, embed_dim=task.embedding_dim) for f, n in enumerate(task.num_ids)]
    mlp = {"dims": task.hidden_dims, "dropout": 0.0, "activation": "relu"}
    match task.model:
        case "deepfm":
            return DeepFM(deep_features=fields, fm_features=fields, mlp_params=mlp)
        case "wide_deep":
            return WideDeep(wide_features=fields, deep_features=fields, mlp_params=mlp)
        case "dcn_v2":
            return DCNv2(fields, task.num_cross_layers, mlp, use_low_rank_mixture=False)
        case _:
            raise NoSuchModel


if __name__ == "__main__":
    serve(TorchRechub())
