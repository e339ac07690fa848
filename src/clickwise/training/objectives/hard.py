"""Negatives that the model itself takes for the best answers, found in an index of its item vectors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from clickwise.models import TwoTower
from clickwise.retrieval.corpus import Corpus
from clickwise.retrieval.exact import ExactIndex
from clickwise.training.objectives.retrieved import vectors_of

DEPTH = 8
"""So many of its best items each of the asking queries gives, beside its own."""


class HardNegatives:
    """The items that score highest for some queries of a step, by vectors that were made when the pass began.

    The first pass has none: an untrained model takes nothing for good. Some of what is found are items that a query
    would be glad of and that no row shows; few queries ask, and all share what they find, so that this weighs little.

    Reference: Huang et al. 2020, "Embedding-based Retrieval in Facebook Search", Section 6.1.

    Args:
        model: whose vectors they are.
        corpus: the items to choose from.
        count: items to find for each step, at most.
    """

    def __init__(self, model: TwoTower, corpus: Corpus, count: int) -> None:
        self._model, self._corpus, self._count = model, corpus, min(count, len(corpus))
        self._vectors = torch.zeros(len(corpus) if count else 0, model.dim)
        self._pass = torch.zeros(1, dtype=torch.int64)  # whose vectors they are; 0, the first, has none

    def asking(self, epoch: int) -> int:
        """Queries of a step that ask, in the pass after `epoch` others; its first step makes the vectors anew."""
        if not self._count or not epoch:
            return 0
        if self._pass.item() != epoch:
            self._vectors.copy_(torch.from_numpy(vectors_of(self._model, self._corpus)))
            self._pass.fill_(epoch)
        return -(-self._count // DEPTH)

    def find(self, queries: np.ndarray, names: np.ndarray) -> np.ndarray:
        """Rows of the corpus, at most `count`: first the best of each query, then the second best, and so on.

        Args:
            queries: [n, K] vectors.
            names: items that are negatives already, or that the queries want.
        """
        found = ExactIndex.of(self._vectors.numpy()).search(queries, DEPTH + 1).rows.T.ravel()
        found = found[found >= 0]
        found = found[~np.isin(self._corpus.names[found], names)]
        return found[np.sort(np.unique(found, return_index=True)[1])][: self._count]

    def state(self) -> dict[str, Tensor]:
        """The live tensors."""
        return {"item_vectors": self._vectors, "item_vectors_pass": self._pass} if self._count else {}
