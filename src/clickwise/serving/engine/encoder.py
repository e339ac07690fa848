"""`Encoder`: what a request says, as model inputs: the user's part once, and joined with each candidate's."""

from __future__ import annotations

import threading
from collections import ChainMap, OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.errors import ClickwiseError, RequestError
from clickwise.features.log import signed_log
from clickwise.features.pairing import Pairing
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.features.sequence import Sequence as SequenceTransform
from clickwise.features.tokens import MAX_TOKEN_BYTES
from clickwise.features.transform import BadCells, DenseTransform, SparseTransform, TokenTransform
from clickwise.native import requests
from clickwise.native.requests import InputPlan, Target
from clickwise.schema import columns_of
from clickwise.serving.engine.request import Request
from clickwise.serving.features.lookups import Stored

_MOST_CUTS = 64


class EncodedRequest(NamedTuple):
    """The rows of a request, and what they have in common.

    Args:
        encoded: a row for each candidate.
        shared: [S] bool, not to be changed; slots that are the same in all rows: the columns behind them are the user's
            or nowhere; or, where the user has no column, they are found to be the same.
    """

    encoded: Encoded
    shared: np.ndarray


class _Cut(NamedTuple):
    """How requests that have some columns are encoded."""

    pairing: Pairing
    shared: np.ndarray


class Encoder:
    """Encodes requests as `pipeline` encodes whole rows, bit for bit. May be used by several threads.

    A feature that reads columns of candidates is encoded for each of them; all others once. A column that is given on
    neither side is missing, as a null is in training. What a kernel can do, it does for all columns at once; the
    features themselves do the rest, and everything where there is no kernel or a cell is not as usual.
    """

    def __init__(self, pipeline: FeaturePipeline) -> None:
        self._pipeline = pipeline
        self._together = _read_together(pipeline)
        self._plan, self._order = _plan(pipeline)
        self._planned = frozenset(self._order)
        self._cuts: OrderedDict[tuple[frozenset[str], ...], _Cut] = OrderedDict()
        self._lock = threading.Lock()

    def request(self, request: Request, stored: Sequence[Stored] = ()) -> EncodedRequest:
        """The rows of a request, one a candidate.

        Args:
            stored: what was looked up for it.

        Raises:
            RequestError: it has none of the columns, or a cell that cannot be read.
        """
        if not request.user and not request.candidates:
            raise self._no_column()
        into = self._pipeline.empty(request.num_candidates)
        planned = self._filled(request, into)
        candidates = self._of_candidates(request)
        pairing, shared = self._cut(frozenset(candidates), planned, stored)
        which, rows = np.zeros(request.num_candidates, np.intp), np.arange(request.num_candidates)
        of_user = _encoded(pairing.request, request.user, 1, numbered=False)
        of_items = _encoded(pairing.item, candidates, request.num_candidates, numbered=True)
        found = pairing.placed(of_user, which, of_items, rows, into)
        for each in stored:
            each.lay_over(found)
        found = pairing.crossed(found)
        return EncodedRequest(found, shared if request.user or request.num_candidates == 1 else _constant(found))

    def _filled(self, request: Request, into: tuple[np.ndarray, np.ndarray]) -> frozenset[str]:
        """Let the plan write what it can; the names of that."""
        if self._plan is None or request.read is None:
            return frozenset()
        left = self._plan.fill(request.read, *into, signed_log)
        return self._planned.difference(self._order[at] for at in left) if left else self._planned

    def _of_candidates(self, request: Request) -> Mapping[str, pa.Array]:
        """The candidates' columns, and those that a feature reads beside one of them: the user's, given to each."""
        beside: dict[str, pa.Array] = {}
        for names in self._together:
            if not names.isdisjoint(request.candidates):
                for name in names.difference(request.candidates):
                    cell = request.user[name] if name in request.user else pa.nulls(1, pa.string())
                    beside[name] = cell.take(pa.array(np.zeros(request.num_candidates, np.int64)))
        return ChainMap(beside, request.candidates) if beside else request.candidates  # type: ignore[arg-type]

    def _cut(self, of_candidates: frozenset[str], planned: frozenset[str], stored: Sequence[Stored]) -> _Cut:
        """The pipeline, cut for candidates that have these columns, less what is stored and what the plan has done."""
        whole = frozenset().union(*(each.whole for each in stored))
        of_each = frozenset(name for each in stored if len(each.rows.sparse) != 1 for name in each.layout.names)
        key = of_candidates, planned, whole, of_each
        with self._lock:
            found = self._cuts.pop(key, None)
            if not found:
                pairing = Pairing(self._pipeline, of_candidates, whole | planned)
                found = _Cut(pairing, _shared(self._pipeline, of_candidates, of_each))
            self._cuts[key] = found  # last, as the one used last
            if len(self._cuts) > _MOST_CUTS:
                self._cuts.popitem(last=False)
            return found

    def _no_column(self) -> RequestError:
        shown = ", ".join(self._pipeline.columns[:12]) + (", ..." if len(self._pipeline.columns) > 12 else "")
        return RequestError("has none of the model's columns", fix=f"give some of {shown}")


def _plan(pipeline: FeaturePipeline) -> tuple[InputPlan | None, list[str]]:
    """What kernels do for the features, and the names of those, in the order of the plan."""
    if not requests.compiled():
        return None, []
    plan, inputs = InputPlan(MAX_TOKEN_BYTES), pipeline.inputs
    columns = {f.name: pipeline.columns.index(f.column) for f in pipeline.schema.features if not f.of}
    offsets = dict(zip((field.name for field in inputs.fields), inputs.offsets(), strict=True))
    planned = []
    for field, slots in inputs.base.slots():
        transform = pipeline.transforms[field.name]
        target = Target(columns[field.name], slots.start, offsets[field.name])
        if isinstance(transform, SequenceTransform):
            owner = pipeline.transforms[field.shares]
            compiled = isinstance(owner, TokenTransform) and transform.compile_into(plan, target, owner)
        else:
            compiled = isinstance(transform, SparseTransform) and transform.compile_into(plan, target)
        if compiled:
            planned.append(field.name)
    for place, name in enumerate(inputs.dense):
        transform = pipeline.transforms[name]
        if isinstance(transform, DenseTransform) and transform.compile_into(plan, columns[name], place):
            planned.append(name)
    return plan, planned


def _shared(pipeline: FeaturePipeline, of_candidates: frozenset[str], of_each: frozenset[str]) -> np.ndarray:
    """[S] bool: slots of features, crosses included, that neither read one of the candidates' columns nor are `of_each`
    of them.
    """
    schema = pipeline.schema
    apart = {f.name for f in schema.features if not of_candidates.isdisjoint(columns_of((f,)))} | of_each
    apart |= {f.name for f in schema.crosses if not apart.isdisjoint(f.of)}
    shared = [np.full(field.length, field.name not in apart) for field in pipeline.inputs.fields]
    found = np.concatenate([np.zeros(0, bool), *shared])
    found.flags.writeable = False
    return found


def _constant(rows: Encoded) -> np.ndarray:
    """[S] bool: slots that are the same in all rows, looked for among those where the first and the last agree."""
    found = np.zeros(rows.sparse.shape[1], bool)
    likely = np.flatnonzero(rows.sparse[0] == rows.sparse[-1])
    found[likely] = True
    for part in (rows.sparse, rows.slot_weight):
        if part is not None and len(likely):
            found[likely] &= (part[:, likely] == part[0, likely]).all(0)
    return found


def _read_together(pipeline: FeaturePipeline) -> list[set[str]]:
    """Columns that one feature reads: of values, and of their weights."""
    pairs = (set(columns_of((feature,))) for feature in pipeline.schema.features)
    return [pair for pair in pairs if len(pair) > 1]


def _encoded(pipeline: FeaturePipeline, columns: Mapping[str, pa.Array], rows: int, *, numbered: bool) -> Encoded:
    """What the pipeline makes of its columns [rows], those that are not there being null. What it cannot read is an
    error of the request: of a candidate where rows are `numbered`.
    """
    names = pipeline.columns
    if not names:
        return Encoded(np.empty((rows, 0), np.int32), np.empty((rows, 0), np.float32), None)
    arrays = [columns[name] if name in columns else pa.nulls(rows, pa.string()) for name in names]
    try:
        return pipeline.encode(pa.RecordBatch.from_arrays(arrays, names=list(names)))
    except BadCells as bad:
        cell = bad.cells[0]
        candidate = cell.position + 1 if numbered else None
        raise RequestError(cell.problem, candidate=candidate, column=cell.column, value=cell.value) from None
    except ClickwiseError as error:
        raise RequestError(str(error)) from None
