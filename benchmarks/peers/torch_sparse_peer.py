"""What a good user writes in plain torch: sparse gradients and Adagrad on the tables, fused Adam on the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plain_models import PlainModel, has_first_order, has_vectors, shuffled_batches
from protocol import System, Task, serve, use_torch_threads


class TorchSparse(System):
    notes = "tables: Adagrad on the rows touched; rest: Adam"

    def prepare(self, task: Task) -> None:
        use_torch_threads(task.threads)
        torch.manual_seed(task.seed)
        torch.sparse.check_sparse_tensor_invariants.disable()
        self.task = task
        self.offsets = np.concatenate([[0], np.cumsum(task.num_ids)[:-1]]).astype(np.int32)
        rows = sum(task.num_ids)
        tables = {}
        if has_vectors(task.model):
            tables["vectors"] = nn.Embedding(rows, task.embedding_dim, sparse=True)
            nn.init.normal_(tables["vectors"].weight, 0.0, 0.01)
        if has_first_order(task.model):
            tables["first"] = nn.Embedding(rows, 1, sparse=True)
            nn.init.zeros_(tables["first"].weight)
        self.tables = nn.ModuleDict(tables)
        self.model = PlainModel(task)

    def train(self, after_step: Callable[[], None]) -> None:
        optimizers = [
            torch.optim.Adagrad(self.tables.parameters(), lr=0.02),
            torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True),
        ]
        for ids, label in shuffled_batches(self.task.array("ids") + self.offsets, self.task):
            for optimizer in optimizers:
                optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(self.logits(ids), label).backward()
            for optimizer in optimizers:
                optimizer.step()
            after_step()

    def logits(self, ids: Tensor) -> Tensor:
        empty = torch.zeros(len(ids), 0)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.task.precision == "bf16"):
            v = self.tables["vectors"](ids) if "vectors" in self.tables else empty
            first = self.tables["first"](ids).squeeze(2) if "first" in self.tables else empty
            return self.model(first, v)

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        ids = torch.from_numpy(self.task.array("test_ids") + self.offsets)
        return torch.cat([torch.sigmoid(self.logits(part)) for part in ids.split(8192)]).numpy()


if __name__ == "__main__":
    serve(TorchSparse())
