"""torch-rechub: DSSM and `MatchTrainer.fit` with negatives from the batch, as its documentation shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.matching import DSSM
from torch_rechub.trainers import MatchTrainer
from torch_rechub.utils.data import MatchDataGenerator

from protocol import System, Task, after_every_torch_step, serve, use_torch_threads

ROWS_AT_ONCE = 8_192
NEGATIVES = 100
"""Of each row. By default it takes all other rows of the batch by an index [B, B - 1]: tens of seconds a step."""


class TorchRechubTowers(System):
    packages = ("torch", "torch-rechub")
    notes = (
        "Adam and weight decay of 1e-5 over the whole tables; softmax over 100 rows of the batch, drawn row by row, "
        "not corrected and without a temperature; batch norm and ReLU after every layer, the last too; "
        "one worker of its loader reads ahead, whose memory is not in its figure"
    )

    def prepare(self, task: Task) -> None:
        use_torch_threads(task.threads)
        torch.manual_seed(task.seed)
        self.task = task
        self.catalogue = np.array(task.array("catalogue"))
        dim = task.embedding_dim
        fields = [SparseFeature(f"c{f}", vocab_size=n, embed_dim=dim) for f, n in enumerate(task.num_ids)]
        self.of_query = len(fields) - self.catalogue.shape[1]
        tower = {"dims": task.hidden_dims}
        self.model = DSSM(fields[: self.of_query], fields[self.of_query :], dict(tower), dict(tower))

    def train(self, after_step: Callable[[], None]) -> None:
        after_every_torch_step(after_step)
        columns, nothing = self.task.columns(), {"c0": np.zeros(1, np.int32)}
        data = MatchDataGenerator(columns, np.array(self.task.array("label")))
        # its 8 workers would read 16 batches ahead while others have their turn
        batches, _, _ = data.generate_dataloader(nothing, nothing, self.task.batch_size, num_workers=1)
        how = {"mode": 2, "in_batch_neg": True, "in_batch_neg_ratio": NEGATIVES}
        MatchTrainer(self.model, **how, n_epoch=1, model_path=self.task.scratch).fit(batches)

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        queries = self.task.array("test_ids")[:, : self.of_query]
        self.model.eval()
        parts = [self.model.user_tower(x) for x in pieces(queries, 0)]
        parts += [self.model.item_tower(x) for x in pieces(self.catalogue, self.of_query)]
        self.model.train()
        return torch.cat(parts).numpy()


def pieces(ids: np.ndarray, first: int) -> list[dict[str, torch.Tensor]]:
    """Ids [n, F] of the fields from `first` on, by the names of their features, some rows at a time."""
    columns = [torch.from_numpy(np.ascontiguousarray(column)) for column in ids.T]
    parts = zip(*(column.split(ROWS_AT_ONCE) for column in columns), strict=True)
    return [{f"c{first + f}": column for f, column in enumerate(part)} for part in parts]


if __name__ == "__main__":
    serve(TorchRechubTowers())
