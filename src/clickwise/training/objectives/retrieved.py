"""Held-out queries that show, while a model is trained, whether it finds their items."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.errors import DataError
from clickwise.metrics.retrieval import ndcg_at_k, recall_at_k
from clickwise.models import TwoTower
from clickwise.progress import Progress
from clickwise.retrieval.corpus import Corpus, gather, names_of
from clickwise.retrieval.exact_search import best_items, query_blocks
from clickwise.retrieval.held_out import HeldOut, joined
from clickwise.training.interrupt import Interrupt
from clickwise.training.state import Rows

K = 20
MOST_QUERIES = 4_096
_READ_ROWS = 8_192


class Validation:
    """Recall and NDCG at 20 over the whole corpus of validation queries, their training items left out.

    Queries are those of the validation rows that the model can tell apart, at most `MOST_QUERIES` of them, chosen by a
    hash. Items that no training row shows cannot be found and count as missed.

    Args:
        model: whose vectors are searched.
        corpus: items of the training rows.
        train: rows whose items are left out for the same query.
        valid: rows whose items are to be found.

    Raises:
        DataError: no validation row has label 1.
    """

    def __init__(self, model: TwoTower, corpus: Corpus, train: Rows, valid: Rows) -> None:
        self._model, self._corpus = model, corpus
        self._queries = gather((query for query, _ in clicked(model, valid)), MOST_QUERIES)
        if not len(self._queries):
            raise DataError("no validation row has label 1", fix="give more validation rows")
        query, names = joined(self._pairs(valid))
        known, known_names = joined(self._pairs(train))
        wanted, excluded = (query, names, corpus.find(names)), (known, corpus.find(known_names))
        self._held_out = HeldOut.of(len(self._queries), len(corpus), wanted, excluded)

    def measure(self, progress: Progress, interrupt: Interrupt) -> dict[str, float]:
        """`recall_at_20` and `ndcg_at_20`, means over the queries; the model is left in the mode it was in."""
        was_training, held_out = self._model.training, self._held_out
        self._model.eval()
        progress.start("validate", len(held_out))
        recall = ndcg = 0.0
        try:
            with torch.inference_mode():
                items = vectors_of(self._model, self._corpus)
                for at in query_blocks(len(held_out), len(items)):
                    interrupt.check()
                    vectors = self._model.query(self._queries.items.take(torch.from_numpy(at)))
                    found = best_items(vectors.numpy(), items, K, held_out.excluded.take(at))
                    answers = held_out.hits(at, found.rows), held_out.num_relevant[at]
                    recall += float(recall_at_k(*answers).sum())
                    ndcg += float(ndcg_at_k(*answers).sum())
                    progress.advance(len(at))
        finally:
            self._model.train(was_training)
            progress.finish()
        return {"recall_at_20": recall / len(held_out), "ndcg_at_20": ndcg / len(held_out)}

    def _pairs(self, rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of the queries among those chosen, and names of the items that rows show them."""
        for query, item in clicked(self._model, rows):
            at = self._queries.find(names_of(query))
            yield at[at >= 0], names_of(item)[at >= 0]


def vectors_of(model: TwoTower, corpus: Corpus) -> np.ndarray:
    """The vectors of all items [C, K], in evaluation mode; the model is left in the mode it was in."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        found = torch.cat([model.item(part) for part in _parts(corpus.items)])
    model.train(was_training)
    return found.numpy()


def clicked(model: TwoTower, rows: Rows) -> Iterator[tuple[Batch, Batch]]:
    """Queries and items of the rows whose label is 1, or that have none."""
    for batch in rows.batches(_READ_ROWS, None):
        if batch.label is not None:
            batch = batch.take(torch.nonzero(batch.label > 0.5).squeeze(1))
        yield model.split(batch)


def _parts(batch: Batch) -> Iterator[Batch]:
    for start in range(0, len(batch), _READ_ROWS):
        yield batch.take(torch.arange(start, min(start + _READ_ROWS, len(batch))))
