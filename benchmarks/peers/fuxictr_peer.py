"""FuxiCTR: `fit` over its own data loader, with the models of its model zoo (which its package leaves out)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import ray
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import (
    CrossNetV2,
    FactorizationMachine,
    FeatureEmbedding,
    LogisticRegression,
    MLP_Block,
)
from fuxictr.pytorch.models import BaseModel
from torch import Tensor, nn

from protocol import NoSuchModel, System, Task, after_every_torch_step, serve, use_torch_threads


class ZooModel(BaseModel):
    """DeepFM, WideDeep, DCNv2, FM or LR, from the library's layers as its model zoo puts them together."""

    def __init__(self, feature_map: FeatureMap, task: Task) -> None:
        options = {"verbose": 0, "metrics": ["logloss", "AUC"], "model_root": task.scratch}
        super().__init__(feature_map, model_id=task.model, gpu=-1, **options)
        width = len(feature_map.features) * task.embedding_dim
        mlp = {"input_dim": width, "hidden_units": task.hidden_dims, "hidden_activations": "relu"}
        if task.model != "lr":
            self.embedding_layer = FeatureEmbedding(feature_map, task.embedding_dim)
        match task.model:
            case "deepfm":
                self.fm, self.mlp = FactorizationMachine(feature_map), MLP_Block(**mlp, output_dim=1)
            case "wide_deep":
                self.lr, self.mlp = LogisticRegression(feature_map), MLP_Block(**mlp, output_dim=1)
            case "dcn_v2":
                self.cross, self.mlp = CrossNetV2(width, task.num_cross_layers), MLP_Block(**mlp)
                self.fc = nn.Linear(width + task.hidden_dims[-1], 1)
            case "fm":
                self.fm = FactorizationMachine(feature_map)
            case "lr":
                self.lr = LogisticRegression(feature_map)
            case _:
                raise NoSuchModel
        self.kind = task.model
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()
        self.model_to_device()

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        x = self.get_inputs(inputs)
        return {"y_pred": self.output_activation(self.logit(x))}

    def logit(self, x: dict[str, Tensor]) -> Tensor:
        if self.kind == "lr":
            return self.lr(x)
        v = self.embedding_layer(x)
        match self.kind:
            case "deepfm":
                return self.fm(x, v) + self.mlp(v.flatten(start_dim=1))
            case "wide_deep":
                return self.lr(x) + self.mlp(v.flatten(start_dim=1))
            case "dcn_v2":
                flat = v.flatten(start_dim=1)
                return self.fc(torch.cat([self.cross(flat), self.mlp(flat)], dim=-1))
            case _:
                return self.fm(x, v)


class FuxiCTR(System):
    packages = ("torch", "fuxictr")
    notes = "Adam over the whole tables, gradients clipped at norm 10, no L2; memory without its Ray processes"

    def prepare(self, task: Task) -> None:
        use_torch_threads(task.threads)
        torch.manual_seed(task.seed)
        self.task = task
        self.model = ZooModel(feature_map(task), task)

    def train(self, after_step: Callable[[], None]) -> None:
        path = Path(self.task.scratch) / "train.parquet"
        label = np.array(self.task.array("label"), np.float64)
        pl.DataFrame({**self.task.columns(), "label": label}).write_parquet(path)
        files = {"train_data": str(path), "valid_data": str(path), "data_format": "parquet"}
        train, valid = RankDataLoader(
            self.model.feature_map, stage="train", batch_size=self.task.batch_size, shuffle=True, num_workers=3, **files
        )
        after_every_torch_step(after_step)
        self.model.fit(train, validation_data=valid, epochs=1)

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        columns = {name: torch.from_numpy(column) for name, column in self.task.columns("test_").items()}
        self.model.eval()
        rows = range(0, len(columns["c0"]), 8192)
        parts = [self.model({name: c[i : i + 8192] for name, c in columns.items()})["y_pred"] for i in rows]
        self.model.train()
        return torch.cat(parts).numpy().ravel()

    def close(self) -> None:
        ray.shutdown()


def feature_map(task: Task) -> FeatureMap:
    """What the library's preprocessing would have written about these columns."""
    features = [
        {f"c{f}": {"source": "", "type": "categorical", "padding_idx": 0, "oov_idx": n - 1, "vocab_size": n}}
        for f, n in enumerate(task.num_ids)
    ]
    about = {"dataset_id": "criteo_like", "num_fields": len(features), "total_features": sum(task.num_ids)}
    path = Path(task.scratch) / "feature_map.json"
    path.write_text(json.dumps({**about, "input_length": len(features), "labels": ["label"], "features": features}))
    found = FeatureMap("criteo_like", task.scratch)
    found.load(str(path), {"embedding_dim": task.embedding_dim, "feature_config": None})
    return found


if __name__ == "__main__":
    serve(FuxiCTR())
