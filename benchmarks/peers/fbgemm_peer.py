"""TorchRec's kernel on a CPU: fbgemm's table-batched embeddings with the update fused into the backward pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    SplitTableBatchedEmbeddingBagsCodegen,
)
from torch import Tensor

from plain_models import PlainModel, has_first_order, has_vectors, shuffled_batches
from protocol import System, Task, serve, use_torch_threads

LANES = 4
"""Row widths that fbgemm takes are multiples of this, so the first-order weight has three idle neighbours."""
RULES = {"": EmbOptimType.EXACT_ROWWISE_ADAGRAD, "rowwise_adagrad": EmbOptimType.EXACT_ROWWISE_ADAGRAD}
RULES |= {"adagrad": EmbOptimType.EXACT_ADAGRAD}


class Fbgemm(System):
    packages = ("torch", "fbgemm-gpu-cpu")
    notes = "tables: row-wise AdaGrad over vector and first-order weight together; rest: Adam"

    def prepare(self, task: Task) -> None:
        use_torch_threads(task.threads)
        torch.manual_seed(task.seed)
        self.task = task
        self.dim = task.embedding_dim if has_vectors(task.model) else 0
        width = self.dim + (LANES if has_first_order(task.model) else 0)
        self.tables = SplitTableBatchedEmbeddingBagsCodegen(
            [(n, width, EmbeddingLocation.HOST, ComputeDevice.CPU) for n in task.num_ids],
            optimizer=RULES[task.rule],
            learning_rate=0.02,
            eps=1e-10,
            pooling_mode=PoolingMode.SUM,
        )
        for table in self.tables.split_embedding_weights():
            torch.nn.init.normal_(table, 0.0, 0.01)
            table[:, self.dim :] = 0.0
        self.model = PlainModel(task)

    def train(self, after_step: Callable[[], None]) -> None:
        optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)
        for ids, label in shuffled_batches(np.array(self.task.array("ids")), self.task):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(self.logits(ids), label).backward()
            optimizer.step()
            after_step()

    def logits(self, ids: Tensor) -> Tensor:
        by_field = ids.t().contiguous().view(-1).long()
        out = self.tables(by_field, torch.arange(len(by_field) + 1)).view(len(ids), ids.shape[1], -1)
        first = out[..., self.dim] if has_first_order(self.task.model) else out[..., :0]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.task.precision == "bf16"):
            return self.model(first, out[..., : self.dim])

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        ids = torch.from_numpy(np.array(self.task.array("test_ids")))
        return torch.cat([torch.sigmoid(self.logits(part)) for part in ids.split(8192)]).numpy()


if __name__ == "__main__":
    serve(Fbgemm())
