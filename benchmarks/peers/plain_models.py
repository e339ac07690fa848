"""The five models as equations in plain torch, above whatever looks the embeddings up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from protocol import NoSuchModel, Task


class PlainModel(nn.Module):
    """Logits [B] from the first-order weights [B, F] and the vectors [B, F, D] of a batch. Starts as clickwise does."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        if task.model not in ("deepfm", "wide_deep", "dcn_v2", "fm", "lr"):
            raise NoSuchModel
        self.model = task.model
        width = len(task.num_ids) * task.embedding_dim
        self.bias = nn.Parameter(torch.zeros(()))
        self.mlp, self.cross, self.out = None, None, None
        if task.model in ("deepfm", "wide_deep", "dcn_v2"):
            widths = (width, *task.hidden_dims)
            self.mlp = nn.Sequential(*(layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())))
            self.out = nn.Linear(widths[-1] + (width if task.model == "dcn_v2" else 0), 1)
        if task.model == "dcn_v2":
            self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(task.num_cross_layers))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, first: Tensor, v: Tensor) -> Tensor:
        flat = v.flatten(1)
        if self.cross is not None:
            crossed = flat
            for layer in self.cross:
                crossed = torch.addcmul(crossed, flat, layer(crossed).to(flat.dtype))
            return self.out(torch.cat([crossed, self.mlp(flat)], 1)).float().squeeze(1) + self.bias
        logit = self.bias + first.sum(1)
        if self.model in ("deepfm", "fm"):
            logit = logit + 0.5 * (v.sum(1).square() - v.square().sum(1)).sum(1)
        if self.mlp is not None:
            logit = logit + self.out(self.mlp(flat)).float().squeeze(1)
        return logit


def has_first_order(model: str) -> bool:
    return model != "dcn_v2"


def has_vectors(model: str) -> bool:
    return model != "lr"


def shuffled_batches(ids: np.ndarray, task: Task) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled epochs without end, from arrays in memory: ids [B, F] as given, and the labels [B] of the task."""
    label, rng = np.array(task.array("label")), np.random.default_rng(task.seed)
    while True:
        order = rng.permutation(len(label))
        for i in range(0, len(label) - task.batch_size + 1, task.batch_size):
            chosen = order[i : i + task.batch_size]
            yield torch.from_numpy(ids[chosen]), torch.from_numpy(label[chosen])
