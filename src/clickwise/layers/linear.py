"""The first-order part of a model: one weight an id, one a dense feature, and the bias."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clickwise.batch import Batch
from clickwise.layers.embedding import Embedding
from clickwise.schema import InputSpec


class Linear(nn.Module):
    """b + sum_f w_f + <w_dense, dense> -> [B].

    The fields f are all of them, crosses included. The weights of ids are independent scalars in a table of their own,
    pooled over the slots of a field as its embeddings are. Everything starts at zero.

    Args:
        inputs: fields and dense features.
    """

    def __init__(self, inputs: InputSpec) -> None:
        super().__init__()
        self.ids = Embedding(inputs, dim=1, init_std=0.0, total=True)
        self.bias = nn.Parameter(torch.zeros(()))
        self.dense = nn.Parameter(torch.zeros(inputs.num_dense)) if inputs.num_dense else None

    def forward(self, batch: Batch) -> Tensor:
        logit = self.bias + self.ids(batch).flatten()  # [B]
        return logit if self.dense is None else logit + batch.dense @ self.dense
