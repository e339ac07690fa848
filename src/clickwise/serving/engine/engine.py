"""`Engine`: an opened version that scores requests. It knows no HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa

from clickwise.calibration import Platt, stored_calibrator
from clickwise.errors import BundleError, RequestError
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.native.precision import Precision
from clickwise.sealed import name_of
from clickwise.serving import version
from clickwise.serving.engine.columns import kinds_of
from clickwise.serving.engine.encoder import EncodedRequest, Encoder
from clickwise.serving.engine.example import example_of
from clickwise.serving.engine.explain import Explained, best_of, each_left_out
from clickwise.serving.engine.golden import Golden, read_golden
from clickwise.serving.engine.graph import Graph
from clickwise.serving.engine.reader import reader_of
from clickwise.serving.engine.request import Reader, Request
from clickwise.serving.engine.row_reader import RowReader
from clickwise.serving.engine.scores import Scores, Served
from clickwise.serving.features.lookups import LookedUp, Lookups
from clickwise.serving.features.store import NO_STORES, Stores

_CARD = ("model", "metrics", "calibrator", "data", "training", "created", "versions", "measured")
_NO_EFFECTS = np.zeros((0, 0), np.float32)
_pipelines: WeakValueDictionary[str, FeaturePipeline] = WeakValueDictionary()
"""By the digits of their files: those of the versions that are open."""


class Engine:
    """A version that answers. Nothing of it changes: several threads may use one.

    Columns that a request gives nowhere are missing, for every candidate, exactly as a null cell is in training.

    Attributes:
        version: its name: the first digits of the checksum of its manifest.
        card: what it is: model, metrics, calibrator, data, training, created, precision.
        columns: the raw columns that a row may have, in the order of the schema.
        kinds: "text", "number", "time" or "list", for each of them.
        features: digits of its features; versions that have them in common encode alike.
        example: a request, made of the golden ones.
        precision: of its linear layers: bf16 where the version passed the parity gate and the processor multiplies it.

    Columns that name entities are among them, whether or not a feature reads them.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Mapping[str, Any],
        pipeline: FeaturePipeline,
        graph: Graph,
        calibrator: Platt | None,
        lookups: Lookups,
    ) -> None:
        self.version = name_of(folder)
        self.precision = graph.precision
        told = {key: manifest[key] for key in _CARD if key in manifest}
        self.card: Mapping[str, Any] = MappingProxyType({**told, "precision": self.precision})
        self.kinds: Mapping[str, str] = MappingProxyType(_with_keys(kinds_of(pipeline), lookups))
        self.columns = tuple(self.kinds)
        self.features = version.features_digest(manifest)
        self._folder = folder
        self._golden = read_golden(folder / version.GOLDEN)
        items = {f.column for f in pipeline.schema.features if f.name in pipeline.schema.item_side}
        self.example: Mapping[str, Any] = MappingProxyType(
            example_of([json.loads(golden.body) for golden in self._golden], self.columns, items)
        )
        self._encoder = Encoder(pipeline)
        self._graph = graph
        self._calibrator = calibrator
        self._lookups = lookups
        self._reader: Reader = reader_of(self.kinds)
        self._row_reader = RowReader(self.kinds)

    @classmethod
    def open(cls, folder: str | Path, *, threads: int = 1, stores: Stores = NO_STORES) -> Engine:
        """Open a version, in a time that does not grow with its tables: those are mapped, and only their size is
        checked. `check` reads them. Versions that are open and have their features in common share these.

        Args:
            threads: that work on one request.
            stores: of entities whose keys requests may have, instead of all that is known of them.

        Raises:
            BundleError: not a version, damaged, or of another format version; or an entity does not fit its features.
            MissingExtraError: ONNX Runtime is not installed.
        """
        folder = Path(folder)
        manifest = version.VERSION.verify(folder, read_all=False)
        features = version.features_digest(manifest)
        pipeline = _pipelines.get(features) or FeaturePipeline.load(folder / version.FEATURES)
        _pipelines[features] = pipeline
        graph = Graph(folder, version.parts_of(folder, manifest), pipeline.inputs, threads)
        lookups = Lookups(pipeline, features, stores)
        return cls(folder, manifest, pipeline, graph, stored_calibrator(folder, manifest.get("calibrator")), lookups)

    def check(self) -> None:
        """Read every file, and compare the answers to the golden requests with those of training; and see that the
        stores have values of this version.

        Raises:
            BundleError: a file has changed, an answer is another one or no number, or a store has values of other
                versions only.
        """
        version.VERSION.verify(self._folder)
        problem = self.problem()
        if problem is not None:
            raise BundleError(f"{self._folder}: {problem}; {version.VERSION.again}")
        self._lookups.check()

    def problem(self) -> str | None:
        """What is wrong with the answer to a golden request; None: all are answered as in training."""
        for number, golden in enumerate(self._golden, 1):
            try:
                found = golden.problem(self._golden_scores(golden, "fp32").logits)
            except RequestError as error:
                found = str(error)
            if found is not None:
                return f"golden request {number}: {found}"
        return None

    def warm_up(self) -> None:
        """Answer the golden requests, so that the first real one finds memory and caches as later ones do."""
        for golden in self._golden:
            self._golden_scores(golden)

    def score_json(self, body: bytes, *, max_candidates: int, until_s: float = math.inf) -> Scores:
        """Score `{"user": {column: cell, ..}, "candidates": [{column: cell, ..}, ..]}`.

        A cell is text, a number, true, false or null, and in a column of lists a list of these. Each column is given on
        one side, the user's or the candidates'. Keys that are no columns are ignored, and named in the answer. Where an
        entity's key is given, its other columns are looked up; a cell of them that is given and not null wins.

        Args:
            until_s: when stores must have answered, on the clock of `time.perf_counter`; then their keys are unknown.

        Raises:
            RequestError: not such a request, or a cell that cannot be read; names candidate, column and value.
        """
        request = self._reader.read(body, max_candidates)
        if not request.num_candidates:
            return Scores(np.zeros(0, np.float32), request.ignored)
        return self._looked_up(request, until_s)

    def explain_json(self, body: bytes, *, max_candidates: int, max_rows: int, until_s: float = math.inf) -> Explained:
        """Score as `score_json` does, and say what each column does to the best candidates.

        Args:
            max_rows: that may be scored for the reasons; with C columns the best `max_rows` / C candidates get some.

        Raises:
            RequestError: as `score_json`.
        """
        request = self._reader.read(body, max_candidates)
        columns = (*request.user, *request.candidates)
        if not request.num_candidates:
            return Explained(Scores(np.zeros(0, np.float32), request.ignored), np.zeros(0, int), columns, _NO_EFFECTS)
        scores = self._looked_up(request, until_s)
        best = best_of(scores.logits, len(columns), max_rows)
        rows = Request({}, each_left_out(request, best), len(columns) * len(best))
        without = self._looked_up(rows, until_s).logits.reshape(len(columns), len(best))
        return Explained(scores, best, columns, (scores.logits[best] - without).T)

    def score_rows(self, data: pa.RecordBatch, *, until_s: float = math.inf) -> Scores:
        """Score whole rows; `until_s` as above.

        Raises:
            RequestError: none of the model's columns is there, or a cell cannot be read; names the row as a candidate.
        """
        request = self._row_reader.read(data)
        if not request.num_candidates:
            return Scores(np.zeros(0, np.float32), request.ignored)
        return self._looked_up(request, until_s)

    def _looked_up(self, request: Request, until_s: float) -> Scores:
        stored = self._lookups.find(request.user, request.candidates, until_s)
        return self._scores(request, self._encoder.request(request, stored), tuple(each.looked_up for each in stored))

    def _golden_scores(self, golden: Golden, precision: Precision | None = None) -> Scores:
        """Nothing is looked up for them: they say all that there is to say."""
        request = self._reader.read(golden.body, len(golden.logits))
        return self._scores(request, self._encoder.request(request), precision=precision)

    def _scores(
        self,
        request: Request,
        found: EncodedRequest,
        looked_up: tuple[LookedUp, ...] = (),
        precision: Precision | None = None,
    ) -> Scores:
        logits = self.logits(found.encoded, found.shared, precision)
        return Scores(logits, request.ignored, looked_up, Served(request, found.encoded))

    def logits(
        self, encoded: Encoded, shared: np.ndarray | None = None, precision: Precision | None = None
    ) -> np.ndarray:
        """Calibrated logits [B] float32 of rows as `pipeline` encodes them.

        Args:
            shared: [S] bool, slots that are the same in all rows; None: nothing is known of that.
            precision: of linear layers; None: `self.precision`.
        """
        logits = self._graph.logits(encoded, shared, precision)
        return self._calibrator(logits) if self._calibrator else logits


def _with_keys(kinds: Mapping[str, str], lookups: Lookups) -> dict[str, str]:
    """The kinds of columns, and those of the keys behind them."""
    for key in lookups.keys:
        if kinds.get(key) == "list":
            raise BundleError(f"entities: the key {key!r} is a column of lists, which name nothing")
    return {**kinds, **{key: "text" for key in lookups.keys if key not in kinds}}
