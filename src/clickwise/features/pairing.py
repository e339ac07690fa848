"""`Pairing`: rows made of two halves that were encoded apart, as a request is and the items it may be shown."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.schema import PADDING_ROW


class Pairing:
    """Cuts the features of a pipeline in two by the columns they read, and puts encoded halves together again.

    `joined` gives, bit for bit, what the pipeline itself gives for the whole rows. Crosses, of either half or of both,
    are made when halves meet.

    Args:
        pipeline: of whole rows.
        item_columns: features that read only these are the item's; all others the request's.
        elsewhere: fields and numbers that are of neither half: somebody else has them.
    """

    def __init__(
        self, pipeline: FeaturePipeline, item_columns: Collection[str], elsewhere: Collection[str] = ()
    ) -> None:
        base = pipeline.inputs.base
        names = [name for name in (*(field.name for field in base.fields), *base.dense) if name not in elsewhere]
        item = {name for name in names if set(pipeline.part(base.part([name])).columns) <= set(item_columns)}
        parts = base.part([name for name in names if name not in item]), base.part(item)
        self.request, self.item = (pipeline.part(part) for part in parts)
        self._pipeline = pipeline
        self._places = [base.places(part) for part in parts]
        slots = {field.name: at for field, at in pipeline.inputs.slots()}
        offsets = {f.name: at for f, at in zip(pipeline.inputs.fields, pipeline.inputs.offsets(), strict=True)}
        self._crosses = [
            (feature, slots[feature.name], offsets[feature.name], [(slots[of], offsets[of]) for of in feature.of])
            for feature in pipeline.schema.crosses
        ]

    def joined(self, request: Encoded, which: np.ndarray, item: Encoded, rows: np.ndarray) -> Encoded:
        """The rows whose request is the one of `which` [n], and whose item is the one of `rows` [n]."""
        return self.crossed(self.placed(request, which, item, rows))

    def placed(
        self,
        request: Encoded,
        which: np.ndarray,
        item: Encoded,
        rows: np.ndarray,
        into: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Encoded:
        """The same before its crosses are made.

        Args:
            into: sparse [n, S] and dense [n, N] to write to, which hold what is of neither half. Else that has to be
                written before `crossed`.
        """
        inputs = self._pipeline.inputs
        sparse, dense = into or self._pipeline.empty(len(rows))
        weight = (sparse != PADDING_ROW).astype(np.float32) if inputs.weighted else None
        for (places, columns), half, at in zip(self._places, (request, item), (which, rows), strict=True):
            sparse[:, places] = half.sparse[at]
            dense[:, columns] = half.dense[at]
            if weight is not None and half.slot_weight is not None:
                weight[:, places] = half.slot_weight[at]
        return Encoded(sparse, dense, weight)

    def crossed(self, rows: Encoded) -> Encoded:
        """`rows`, whose crosses are made, in place, of what is placed there."""
        sparse, weight = rows.sparse, rows.slot_weight
        for feature, slots, offset, parts in self._crosses:
            values = {name: _ids(sparse[:, at], first) for name, (at, first) in zip(feature.of, parts, strict=True)}
            ids = self._pipeline.cross(feature, values)
            sparse[:, slots] = np.where(ids < 0, PADDING_ROW, ids + np.int32(offset))
            if weight is not None:
                weight[:, slots] = ids >= 0
        return rows


def _ids(rows: np.ndarray, offset: int) -> np.ndarray:
    """Ids inside a field [n, length] of its table rows; -1 where a slot is empty."""
    return np.where(rows == PADDING_ROW, -1, rows - np.int32(offset))
