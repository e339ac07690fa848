"""What a good user writes in plain torch: sparse gradients, and a corrected softmax over the batch's distinct items."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plain_models import shuffled_batches
from protocol import System, Task, serve, use_torch_threads

TEMPERATURE = 0.1


class TorchSparseTowers(System):
    notes = "tables: SparseAdam on the rows touched; rest: Adam; softmax over distinct items, corrected by their counts"

    def prepare(self, task: Task) -> None:
        use_torch_threads(task.threads)
        torch.manual_seed(task.seed)
        torch.sparse.check_sparse_tensor_invariants.disable()
        self.task = task
        self.offsets = np.concatenate([[0], np.cumsum(task.num_ids)[:-1]]).astype(np.int32)
        item_fields = task.array("catalogue").shape[1]
        self.of_query = len(task.num_ids) - item_fields
        self.catalogue = torch.from_numpy(task.array("catalogue") + self.offsets[self.of_query :])
        shown = np.bincount(task.array("ids")[:, self.of_query], minlength=len(self.catalogue)) / len(task.array("ids"))
        absent = (1.0 - torch.from_numpy(shown).float()) ** task.batch_size
        self.log_q = torch.log1p(-absent).clamp(min=-30.0)  # ln of the chance that a batch has the item
        self.table = nn.Embedding(sum(task.num_ids), task.embedding_dim, sparse=True)
        nn.init.normal_(self.table.weight, 0.0, 0.01)
        fields = (self.of_query, item_fields)
        self.towers = nn.ModuleList(tower([n * task.embedding_dim, *task.hidden_dims]) for n in fields)

    def train(self, after_step: Callable[[], None]) -> None:
        optimizers = [
            torch.optim.SparseAdam(self.table.parameters(), lr=1e-3),
            torch.optim.Adam(self.towers.parameters(), lr=1e-3, fused=True),
        ]
        for ids, _ in shuffled_batches(self.task.array("ids") + self.offsets, self.task):
            for optimizer in optimizers:
                optimizer.zero_grad()
            own = ids[:, self.of_query] - int(self.offsets[self.of_query])
            items, target = torch.unique(own, return_inverse=True)
            query, item = self.vectors(0, ids[:, : self.of_query]), self.vectors(1, self.catalogue[items])
            score = query @ item.t() / TEMPERATURE - self.log_q[items]
            F.cross_entropy(score, target).backward()
            for optimizer in optimizers:
                optimizer.step()
            after_step()

    def vectors(self, side: int, ids: Tensor) -> Tensor:
        return F.normalize(self.towers[side](self.table(ids).flatten(1)), dim=1)

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        queries = torch.from_numpy((self.task.array("test_ids") + self.offsets)[:, : self.of_query])
        sides = enumerate((queries, self.catalogue))
        return torch.cat([self.vectors(side, part) for side, ids in sides for part in ids.split(8192)]).numpy()


def tower(widths: list[int]) -> nn.Sequential:
    """Linear layers with ReLU between them; starts as clickwise does."""
    layers: list[nn.Module] = []
    for i, o in pairwise(widths):
        layers += [nn.Linear(i, o), nn.ReLU()]
        nn.init.xavier_normal_(layers[-2].weight)
        nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1])


if __name__ == "__main__":
    serve(TorchSparseTowers())
