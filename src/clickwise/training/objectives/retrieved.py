"""Held-out queries that show, while a model is trained, whether it finds their items."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.errors import DataError
from clickwise.models import TwoTower
from clickwise.progress import Progress
from clickwise.training.interrupt import Interrupt
from clickwise.training.objectives.corpus import Corpus, names_of
from clickwise.training.state import Rows

K = 20
MOST_QUERIES = 4_096
_QUERIES_AT_ONCE = 128
_READ_ROWS = 8_192


class HeldOut:
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
        chosen: dict[int, Batch] = {}
        limit = 2**64
        for query, names, _ in _pairs(valid, model.split, corpus):
            for at in np.unique(names, return_index=True)[1].tolist():
                if int(names[at]) < limit:
                    chosen.setdefault(int(names[at]), query.take(torch.tensor([at])))
            if len(chosen) > 2 * MOST_QUERIES:
                chosen = dict(sorted(chosen.items())[:MOST_QUERIES])
                limit = max(chosen)
        if not chosen:
            raise DataError("no validation row has label 1", fix="give more validation rows")
        chosen = dict(sorted(chosen.items())[:MOST_QUERIES])
        self._names = np.array(list(chosen), np.uint64)
        first, *rest = chosen.values()
        queries = first.followed_by(*rest)
        self._queries = Batch(queries.sparse, queries.dense, queries.slot_weight)
        self._relevant = self._items_of(valid)
        self._excluded = self._items_of(train)

    def measure(self, progress: Progress, interrupt: Interrupt) -> dict[str, float]:
        """`recall_at_20` and `ndcg_at_20`, means over the queries; the model is left in the mode it was in."""
        was_training = self._model.training
        self._model.eval()
        progress.start("validate", len(self._names))
        recall = ndcg = 0.0
        try:
            with torch.inference_mode():
                items = torch.cat([self._model.item(part) for part in _parts(self._corpus.items, _READ_ROWS)])
                start = 0
                for part in _parts(self._queries, _QUERIES_AT_ONCE):
                    interrupt.check()
                    score = self._model.query(part) @ items.t()
                    for i, mine in enumerate(self._excluded[start : start + len(part)]):
                        score[i, mine[mine >= 0]] = -torch.inf
                    top = score.topk(min(K, len(items)), 1).indices.numpy()
                    for found, wanted in zip(top, self._relevant[start : start + len(part)], strict=True):
                        hits = np.isin(found, wanted)
                        gain = 1.0 / np.log2(np.arange(2, K + 2))
                        recall += hits.sum() / len(wanted)
                        ndcg += (hits * gain[: len(hits)]).sum() / gain[: len(wanted)].sum()
                    start += len(part)
                    progress.advance(len(part))
        finally:
            self._model.train(was_training)
            progress.finish()
        return {"recall_at_20": float(recall / start), "ndcg_at_20": float(ndcg / start)}

    def _items_of(self, rows: Rows) -> list[np.ndarray]:
        """The items that rows show to each query, by where they are in the corpus; -1 for one that is not there."""
        found: list[set[int]] = [set() for _ in self._names]
        unknown: list[set[int]] = [set() for _ in self._names]
        for _, names, items in _pairs(rows, self._model.split, self._corpus):
            at = np.minimum(np.searchsorted(self._names, names), len(self._names) - 1)
            for row in np.flatnonzero(self._names[at] == names).tolist():
                where, name = items[0][row], items[1][row]
                (found if where >= 0 else unknown)[at[row]].add(int(where if where >= 0 else name))
        return [
            np.array([*sorted(known), *[-1] * len(others)], np.int64)
            for known, others in zip(found, unknown, strict=True)
        ]


def _pairs(
    rows: Rows, split: Callable[[Batch], tuple[Batch, Batch]], corpus: Corpus
) -> Iterator[tuple[Batch, np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Queries of the rows with label 1, their names, and where their items are in the corpus with the items' names."""
    for batch in rows.batches(_READ_ROWS, None):
        if batch.label is not None:
            batch = batch.take(torch.nonzero(batch.label > 0.5).squeeze(1))
        query, item = split(batch)
        names = names_of(item)
        yield query, names_of(query), (corpus.find(names), names)


def _parts(batch: Batch, rows: int) -> Iterator[Batch]:
    for start in range(0, len(batch), rows):
        yield batch.take(torch.arange(start, min(start + rows, len(batch))))
