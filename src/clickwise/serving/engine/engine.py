"""`Engine`: an opened version that scores requests. It knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.calibration import Platt
from clickwise.config import build
from clickwise.data.plain import plain_piece
from clickwise.errors import BundleError, ConfigError, DataError, RequestError
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.serving import version
from clickwise.serving.engine.columns import kinds_of
from clickwise.serving.engine.encoder import Encoder
from clickwise.serving.engine.golden import read_golden
from clickwise.serving.engine.graph import Graph
from clickwise.serving.engine.reader import reader_of
from clickwise.serving.engine.request import MAX_IGNORED, Reader
from clickwise.serving.engine.scores import Scores

_CARD = ("model", "metrics", "calibrator", "data", "training", "created", "versions")


class Engine:
    """A version that answers. Nothing of it changes: several threads may use one.

    Columns that a request gives nowhere are missing, for every candidate, exactly as a null cell is in training.

    Attributes:
        version: its name: the first digits of the checksum of its manifest.
        card: what it is: model, metrics, calibrator, data, training, created.
        columns: the raw columns that a row may have, in the order of the schema.
        kinds: "text", "number", "time" or "list", for each of them.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Mapping[str, Any],
        pipeline: FeaturePipeline,
        graph: Graph,
        calibrator: Platt | None,
    ) -> None:
        self.version = version.name_of(folder)
        self.card: Mapping[str, Any] = MappingProxyType({key: manifest[key] for key in _CARD if key in manifest})
        self.kinds: Mapping[str, str] = MappingProxyType(dict(kinds_of(pipeline)))
        self.columns = tuple(self.kinds)
        self._folder = folder
        self._golden = read_golden(folder / version.GOLDEN)
        self._encoder = Encoder(pipeline)
        self._graph = graph
        self._calibrator = calibrator
        self._reader: Reader = reader_of(self.kinds)

    @classmethod
    def open(cls, folder: str | Path, *, threads: int = 1) -> Engine:
        """Open a version, in a time that does not grow with its tables: those are mapped, and only their size is
        checked. `check` reads them.

        Args:
            threads: that work on one request.

        Raises:
            BundleError: not a version, damaged, or of another format version.
            MissingExtraError: ONNX Runtime is not installed.
        """
        folder = Path(folder)
        manifest = version.VERSION.verify(folder, read_all=False)
        pipeline = FeaturePipeline.load(folder / version.FEATURES)
        graph = Graph(folder, version.vectors_of(folder, manifest), pipeline.inputs, threads)
        return cls(folder, manifest, pipeline, graph, _calibrator(folder, manifest.get("calibrator")))

    def check(self) -> None:
        """Read every file, and compare the answers to the golden requests with those of training.

        Raises:
            BundleError: a file has changed, or an answer is another one or no number.
        """
        version.VERSION.verify(self._folder)
        for number, golden in enumerate(self._golden, 1):
            place = f"{self._folder}: golden request {number}"
            try:
                scores = self.score_json(golden.body, max_candidates=len(golden.logits))
            except RequestError as error:
                raise BundleError(f"{place}: {error}") from None
            golden.check(scores.logits, place)

    def warm_up(self) -> None:
        """Answer the golden requests, so that the first real one finds memory and caches as later ones do."""
        for golden in self._golden:
            self.score_json(golden.body, max_candidates=len(golden.logits))

    def score_json(self, body: bytes, *, max_candidates: int) -> Scores:
        """Score `{"user": {column: cell, ..}, "candidates": [{column: cell, ..}, ..]}`.

        A cell is text, a number, true, false or null, and in a column of lists a list of these. Each column is given on
        one side, the user's or the candidates'. Keys that are no columns are ignored, and named in the answer.

        Raises:
            RequestError: not such a request, or a cell that cannot be read; names candidate, column and value.
        """
        request = self._reader.read(body, max_candidates)
        if not request.num_candidates:
            return Scores(np.zeros(0, np.float32), request.ignored)
        return self._scores(self._encoder.request(request), request.ignored)

    def score_rows(self, data: pa.RecordBatch) -> Scores:
        """Score whole rows.

        Raises:
            RequestError: none of the model's columns is there, or a cell cannot be read; names the row as a candidate.
        """
        ignored = tuple(dict.fromkeys(name for name in data.schema.names if name not in self.kinds))
        names = [name for name in data.schema.names if name in self.kinds]
        if len(set(names)) < len(names):
            raise RequestError("has two columns of one name", fix="give each column once")
        try:
            piece = plain_piece(data.select(names), np.arange(1, data.num_rows + 1))
        except (pa.ArrowException, DataError) as error:
            raise RequestError(f"cannot be read: {str(error).splitlines()[0]}") from None
        if piece.bad:
            bad = piece.bad[0]
            raise RequestError(bad.reason, candidate=bad.row, column=bad.column, value=bad.value)
        if not data.num_rows:
            return Scores(np.zeros(0, np.float32), ignored[:MAX_IGNORED])
        columns = dict(zip(names, piece.data.columns, strict=True))
        return self._scores(self._encoder.rows(columns, data.num_rows), ignored[:MAX_IGNORED])

    def _scores(self, encoded: Encoded, ignored: tuple[str, ...]) -> Scores:
        logits = self._graph.logits(encoded)
        return Scores(self._calibrator(logits) if self._calibrator else logits, ignored)


def _calibrator(folder: Path, entry: Any) -> Platt | None:
    if entry is None:
        return None
    if not isinstance(entry, Mapping) or entry.get("method") != "platt":
        raise BundleError(f"{folder}: has a calibrator that this version of clickwise does not know")
    try:
        return build(Platt, {key: value for key, value in entry.items() if key != "method"}, "calibrator")
    except ConfigError as error:
        raise BundleError(f"{folder}: {error}") from None
