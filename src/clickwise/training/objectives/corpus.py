"""The items that a set of rows knows, told apart by what a model is given of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.features.sampling import mix64
from clickwise.training.state import Rows

_READ_ROWS = 8_192
_MERGE_AT = 1 << 20


@dataclass(frozen=True, slots=True)
class Corpus:
    """C distinct items.

    Args:
        names: [C] uint64, rising: `names_of(items)`.
        items: their encoded features.
        counts: [C] int64, rows that show each.
    """

    names: np.ndarray
    items: Batch
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def find(self, names: np.ndarray) -> np.ndarray:
        """Where each of the names [n] is; -1 where it is not.  [n] int64"""
        at = np.minimum(np.searchsorted(self.names, names), max(0, len(self) - 1))
        return np.where(self.names[at] == names, at, -1) if len(self) else np.full(len(names), -1)


def names_of(batch: Batch) -> np.ndarray:
    """A number for each row, the same for rows that a model cannot tell apart.  [B] uint64

    A hash: of a million items, some two are alike by chance once in 37 million corpora.
    """
    parts = [batch.sparse.numpy().view(np.uint32), (batch.dense + 0.0).numpy().view(np.uint32)]  # -0 becomes 0
    if batch.slot_weight is not None:
        parts.append(batch.slot_weight.numpy().view(np.uint32))
    found = np.zeros(len(batch), np.uint64)
    for column in np.concatenate(parts, axis=1).T:
        found = mix64((found ^ column) + np.uint64(0x9E3779B97F4A7C15))
    return found


def gather(rows: Rows, item_of: Callable[[Batch], Batch]) -> Corpus:
    """The items of all rows whose label is 1, or that have no label. Memory grows with the items, not the rows.

    Args:
        item_of: the item's slots of a batch.
    """
    corpus: Corpus | None = None
    pieces: list[Corpus] = []
    for batch in rows.batches(_READ_ROWS, None):
        items = item_of(batch)
        if batch.label is not None:
            items = items.take(torch.nonzero(batch.label > 0.5).squeeze(1))
        pieces.append(_distinct(names_of(items), items, np.ones(len(items), np.int64)))
        if sum(map(len, pieces)) > _MERGE_AT + (0 if corpus is None else len(corpus)):
            corpus, pieces = _merged([corpus, *pieces] if corpus else pieces), []
    return _merged([corpus, *pieces] if corpus else pieces)


def _merged(pieces: list[Corpus]) -> Corpus:
    items = pieces[0].items
    if len(pieces) > 1:
        items = items.followed_by(*(piece.items for piece in pieces[1:]))
    names, counts = (np.concatenate([getattr(p, key) for p in pieces]) for key in ("names", "counts"))
    return _distinct(names, items, counts)


def _distinct(names: np.ndarray, items: Batch, counts: np.ndarray) -> Corpus:
    found, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    total = np.bincount(inverse, counts, len(found)).astype(np.int64)
    kept = items.take(torch.from_numpy(first))
    return Corpus(found, Batch(kept.sparse, kept.dense, kept.slot_weight), total)
