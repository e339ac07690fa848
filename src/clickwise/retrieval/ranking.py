"""`RankStage`: a bundle of a ranking model that scores many items for few requests, encoding neither twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from clickwise.batch import Batch
from clickwise.bundle import Bundle, batch_logits
from clickwise.errors import BundleError
from clickwise.features.pairing import Pairing
from clickwise.features.pipeline import Encoded
from clickwise.metrics import probability

_PAIRS_AT_ONCE = 4096
_ROWS_AT_ONCE = 65_536


class RankStage:
    """Probabilities of (request, item) pairs.

    The features that read only columns of the items are encoded once for each item; a request's own are encoded once
    for the request, and a pair gathers both halves. The probability is the one that `bundle.predict` gives for the
    whole row.

    Args:
        bundle: of a model that gives click probabilities.
        item_columns: the columns that describe the items.
        encoded: the items' half, row by row.

    Raises:
        BundleError: the bundle was trained for retrieval, or `encoded` is of another one.
    """

    def __init__(self, bundle: Bundle, item_columns: Sequence[str], encoded: Encoded | None = None) -> None:
        bundle.check_probabilities()
        self.bundle = bundle
        self.pairing = Pairing(bundle.pipeline, item_columns)
        none = self.pairing.item.encode(_no_rows(self.pairing.item.columns))
        self._encoded = none if encoded is None else encoded
        for mine, empty in zip(self._encoded, none, strict=True):
            kind = None if mine is None else (mine.dtype, mine.shape[1:], len(mine))
            if kind != (None if empty is None else (empty.dtype, empty.shape[1:], len(self))):
                raise BundleError("the items were encoded for another ranking model; build the recommender again")

    def __len__(self) -> int:
        return len(self._encoded.sparse)

    def followed_by(self, items: pa.Table) -> RankStage:
        """The same with more items behind those it has.

        Raises:
            BadCells: cells of the items that cannot be read, all of them of a piece.
        """
        columns = list(self.pairing.item.columns)
        batches = items.select(columns).combine_chunks().to_batches(_ROWS_AT_ONCE)
        more = [self.pairing.item.encode(batch) for batch in batches]
        parts = zip(self._encoded, *more, strict=True)
        joined = Encoded(*(None if part[0] is None else np.concatenate(part) for part in parts))  # type: ignore[arg-type]
        return RankStage(self.bundle, columns, joined)

    def probabilities(self, requests: pa.RecordBatch, which: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Of the pairs of the requests `which` [n] with the items `rows` [n].  [n] float64

        Args:
            requests: rows that have the columns of `pairing.request.columns`.

        Raises:
            BadCells: cells of the requests that cannot be read, all of them.
        """
        request, found = self.pairing.request.encode(requests), np.empty(len(rows))
        for start in range(0, len(rows), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            logit = batch_logits(
                self.bundle.model, Batch.of(*self.pairing.joined(request, which[part], self._encoded, rows[part]))
            )
            found[part] = probability(self.bundle.calibrator(logit) if self.bundle.calibrator else logit)
        return found

    def save(self, folder: Path) -> None:
        """Write the items' half into a folder that is there."""
        for name, part in zip(Encoded._fields, self._encoded, strict=True):
            if part is not None:
                np.save(folder / f"{name}.npy", part)

    @staticmethod
    def encoded_in(folder: Path) -> Encoded:
        """The items' half that `save` wrote, mapped from its files.

        Raises:
            BundleError: a file is damaged.
        """
        parts = (folder / f"{name}.npy" for name in Encoded._fields)
        try:
            return Encoded(*(np.load(file, mmap_mode="r") if file.exists() else None for file in parts))  # type: ignore[arg-type]
        except (OSError, ValueError) as error:
            raise BundleError(f"{folder}: cannot be read: {error}; build it again") from None


def _no_rows(columns: Sequence[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, pa.string()) for _ in columns], names=list(columns))
