"""`Towers`: a bundle whose model has two, as what makes vectors of queries and of items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from clickwise.batch import Batch
from clickwise.bundle.bundle import Bundle, batches_of
from clickwise.errors import BundleError
from clickwise.features.pipeline import FeaturePipeline
from clickwise.models import TwoTower


class Towers:
    """Raw rows in, vectors out; the dot product of a query's and an item's is their score.

    Args:
        bundle: of a `TwoTower`.

    Raises:
        BundleError: of another model, or one that does not say which column names the item.
    """

    def __init__(self, bundle: Bundle) -> None:
        if not isinstance(bundle.model, TwoTower):
            raise BundleError(f"its model is {bundle.model_name}, and retrieval needs two_tower; train one")
        if bundle.schema.item is None:
            raise BundleError("it does not say which column names the item; train it with schema.item")
        self.bundle, self._model = bundle, bundle.model
        self.query, self.item = bundle.pipeline.sides
        self.item_column = bundle.schema.item

    @property
    def dim(self) -> int:
        """K: of the vectors."""
        return self._model.dim

    def queries(self, data: pa.RecordBatch) -> np.ndarray:
        """Vectors [n, K] float32 of rows that have the columns of `query.columns`.

        Raises:
            BadCells: cells that cannot be read, all of them.
        """
        return self._vectors(self.query, self._model.query, data)

    def items(self, data: pa.RecordBatch) -> np.ndarray:
        """The same of items, with the columns of `item.columns`."""
        return self._vectors(self.item, self._model.item, data)

    def _vectors(self, pipeline: FeaturePipeline, tower: Callable[[Batch], Tensor], data: pa.RecordBatch) -> np.ndarray:
        found = np.empty((data.num_rows, self.dim), np.float32)
        if self._model.training:
            self._model.eval()
        with torch.inference_mode():
            for part, batch in batches_of(pipeline.encode(data)):
                found[part] = tower(batch).numpy()
        return found
