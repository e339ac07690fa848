"""The items that a set of rows knows, told apart by what a model is given of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from clickwise.batch import Batch
from clickwise.features.sampling import mix64

_MERGE_AT = 1 << 20


@dataclass(frozen=True, slots=True)
class Corpus:
    """C distinct items; or distinct queries.

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
        return positions(self.names, names)


def positions(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of `wanted` [n] is in `ordered` [C], distinct and rising; -1 where it is not.  [n] int64"""
    if not len(ordered):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.where(ordered[at] == wanted, at, -1)


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


def gather(pieces: Iterable[Batch], most: int | None = None) -> Corpus:
    """What is distinct in all pieces, as it came first. Memory grows with that, not with the rows.

    Args:
        pieces: at least one.
        most: keep only so many, those of the lowest names: a random sample that does not depend on the rows' order.
    """
    corpus: Corpus | None = None
    waiting: list[Corpus] = []
    for piece in pieces:
        waiting.append(_distinct(names_of(piece), piece, np.ones(len(piece), np.int64), most))
        if sum(map(len, waiting)) > _MERGE_AT + (0 if corpus is None else len(corpus)):
            corpus, waiting = _merged([corpus, *waiting] if corpus else waiting, most), []
    return _merged([corpus, *waiting] if corpus else waiting, most)


def _merged(pieces: list[Corpus], most: int | None) -> Corpus:
    items = pieces[0].items
    if len(pieces) > 1:
        items = items.followed_by(*(piece.items for piece in pieces[1:]))
    names, counts = (np.concatenate([getattr(p, key) for p in pieces]) for key in ("names", "counts"))
    return _distinct(names, items, counts, most)


def _distinct(names: np.ndarray, items: Batch, counts: np.ndarray, most: int | None) -> Corpus:
    found, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    total = np.bincount(inverse, counts, len(found)).astype(np.int64)
    kept = items.take(torch.from_numpy(first[:most]))
    return Corpus(found[:most], Batch(kept.sparse, kept.dense, kept.slot_weight), total[:most])
