"""`Encoder`: what a request says, as model inputs: the user's part once, and joined with each candidate's."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import pyarrow as pa

from clickwise.errors import ClickwiseError, RequestError
from clickwise.features.pairing import Pairing
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.features.transform import BadCells
from clickwise.serving.engine.request import Request

_MOST_PAIRINGS = 64

T = TypeVar("T")


class Encoder:
    """Encodes requests as `pipeline` encodes whole rows, bit for bit. May be used by several threads.

    A feature that reads columns of candidates is encoded for each of them; all others once. A column that is given on
    neither side is missing, as a null is in training.
    """

    def __init__(self, pipeline: FeaturePipeline) -> None:
        self._pipeline = pipeline
        self._together = _read_together(pipeline)
        self._pairings: OrderedDict[frozenset[str], Pairing] = OrderedDict()
        self._lock = threading.Lock()

    def request(self, request: Request) -> Encoded:
        """The rows of a request, one a candidate.

        Raises:
            RequestError: it has none of the columns, or a cell that cannot be read.
        """
        if not request.user and not request.candidates:
            raise self._no_column()
        candidates = dict(request.candidates)
        for names in self._together:
            if names & candidates.keys():
                for name in names & request.user.keys():  # read beside a candidate's column: given to each
                    candidates[name] = request.user[name].take(pa.array(np.zeros(request.num_candidates, np.int64)))
        pairing = self._pairing(frozenset(candidates))
        user = _batch(pairing.request.columns, request.user, 1)
        items = _batch(pairing.item.columns, candidates, request.num_candidates)
        which, rows = np.zeros(request.num_candidates, np.intp), np.arange(request.num_candidates)
        of_user = _readable(lambda: pairing.request.encode(user), numbered=False)
        return pairing.joined(of_user, which, _readable(lambda: pairing.item.encode(items), numbered=True), rows)

    def rows(self, columns: Mapping[str, pa.Array], count: int) -> Encoded:
        """Whole rows, given as columns of `count` cells; raises as `request` does."""
        if not columns:
            raise self._no_column()
        data = _batch(self._pipeline.columns, columns, count)
        return _readable(lambda: self._pipeline.encode(data), numbered=True)

    def _pairing(self, of_candidates: frozenset[str]) -> Pairing:
        """The pipeline, cut for candidates that have these columns."""
        with self._lock:
            found = self._pairings.pop(of_candidates, None) or Pairing(self._pipeline, of_candidates)
            self._pairings[of_candidates] = found  # last, as the one used last
            if len(self._pairings) > _MOST_PAIRINGS:
                self._pairings.popitem(last=False)
            return found

    def _no_column(self) -> RequestError:
        shown = ", ".join(self._pipeline.columns[:12]) + (", ..." if len(self._pipeline.columns) > 12 else "")
        return RequestError("has none of the model's columns", fix=f"give some of {shown}")


def _read_together(pipeline: FeaturePipeline) -> list[set[str]]:
    """Columns that one feature reads: of values, and of their weights."""
    pairs = ({f.column, getattr(f.config, "weights", None) or f.column} for f in pipeline.schema.features if f.column)
    return [pair for pair in pairs if len(pair) > 1]


def _batch(names: tuple[str, ...], columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
    """These columns [rows]; those that are not there are null."""
    arrays = [columns[name] if name in columns else pa.nulls(rows, pa.string()) for name in names]
    layout = pa.schema([(name, array.type) for name, array in zip(names, arrays, strict=True)])
    if not names:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(arrays, schema=layout)


def _readable(encode: Callable[[], T], *, numbered: bool) -> T:
    """What `encode` gives; what it cannot read, as an error of the request."""
    try:
        return encode()
    except BadCells as bad:
        cell = bad.cells[0]
        candidate = cell.position + 1 if numbered else None
        raise RequestError(cell.problem, candidate=candidate, column=cell.column, value=cell.value) from None
    except ClickwiseError as error:
        raise RequestError(str(error)) from None
