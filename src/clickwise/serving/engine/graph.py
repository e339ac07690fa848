"""`Graph`: encoded rows to logits: rows of the mapped tables to pooled vectors, these through towers of linear layers,
and all of it through ONNX Runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from clickwise.errors import BundleError, MissingExtraError
from clickwise.features.pipeline import Encoded
from clickwise.native import rows as rows_of
from clickwise.native.precision import Precision, resolve
from clickwise.schema import PADDING_ROW, InputSpec
from clickwise.serving import version
from clickwise.serving.engine.deep import Deep
from clickwise.serving.version import Parts, Vectors

_ROWS_AT_ONCE = 4096
"""Few enough for their vectors to stay in the processor's cache."""
_ENCODED = (version.SPARSE, version.DENSE, version.SLOT_WEIGHT)
"""The inputs of the graph that `Encoded` has, in its order."""


class Graph:
    """The model of a version. May be used by several threads.

    Args:
        folder: of the version, checked.
        parts: what its graph is given.
        inputs: what the features give.
        threads: of one request.

    Attributes:
        precision: of its towers, if nothing else is said: bf16 where the version may and the processor multiplies it.

    Raises:
        BundleError: the files do not belong together.
        MissingExtraError: ONNX Runtime is not installed.
    """

    def __init__(self, folder: Path, parts: Parts, inputs: InputSpec, threads: int) -> None:
        self.precision: Precision = resolve("auto") if parts.reduced else "fp32"
        self._session = _session(folder / version.GRAPH, threads)
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._tables = [_Table(folder, each, inputs) for each in parts.vectors]
        layouts = {table.name: table.layout for table in self._tables}
        self._towers = [Deep(folder, each, layouts.get(each.vectors), inputs.num_dense) for each in parts.towers]
        known = {*layouts, *(tower.name for tower in self._towers), *_ENCODED}
        outputs = [each.name for each in self._session.get_outputs()]
        if not known.issuperset(self._inputs) or outputs != [version.LOGITS]:
            raise BundleError(f"{folder / version.GRAPH}: is no graph of such a version; {version.VERSION.again}")

    def logits(
        self, encoded: Encoded, shared: np.ndarray | None = None, precision: Precision | None = None
    ) -> np.ndarray:
        """Logits [B] float32 of encoded rows.

        Args:
            shared: [S] bool, slots that are the same in all rows; None: nothing is known of that.
            precision: of the towers; None: `self.precision`.
        """
        count = len(encoded.sparse)
        if count <= _ROWS_AT_ONCE:
            return self.run(self.feeds(encoded, shared, precision))
        found = np.empty(count, np.float32)
        for start in range(0, count, _ROWS_AT_ONCE):
            at = slice(start, start + _ROWS_AT_ONCE)
            found[at] = self.run(self.feeds(encoded.take(at), shared, precision))
        return found

    def feeds(self, encoded: Encoded, shared: np.ndarray | None, precision: Precision | None) -> dict[str, Any]:
        """What the graph is given for encoded rows, by the names of its inputs; as `logits` has it."""
        vectors = self.vectors(encoded)
        return self.with_towers(encoded, vectors, shared, precision)

    def vectors(self, encoded: Encoded) -> dict[str, np.ndarray]:
        """What is pooled from the tables, by name: [B, F, D] each."""
        return {table.name: table.pooled(encoded) for table in self._tables}

    def with_towers(
        self, encoded: Encoded, vectors: dict[str, np.ndarray], shared: np.ndarray | None, precision: Precision | None
    ) -> dict[str, Any]:
        """`feeds`, where the vectors are there already."""
        how = precision or self.precision
        deep = {tower.name: tower(vectors[tower.vectors], encoded.dense, shared, how) for tower in self._towers}
        given = vectors | deep | dict(zip(_ENCODED, encoded, strict=True))
        return {name: given[name] for name in self._inputs}

    def run(self, feeds: dict[str, Any]) -> np.ndarray:
        """Logits [B] float32."""
        return self._session.run([version.LOGITS], feeds)[0]


class _Table:
    """The rows of one table, mapped, and how they are pooled."""

    def __init__(self, folder: Path, vectors: Vectors, inputs: InputSpec) -> None:
        self.name = vectors.name
        self._vectors = vectors
        self._starts = np.array(vectors.starts, np.int32)
        try:
            self._rows = np.load(folder / vectors.table, mmap_mode="r").view(np.ndarray)
        except (OSError, ValueError) as error:
            raise BundleError(f"{folder / vectors.table}: cannot be read: {error}") from None
        whole = inputs.num_rows if self._slots == inputs.num_slots else inputs.base.num_rows
        starts_fit = self._slots <= inputs.num_slots and (np.diff(self._starts) >= 0).all()
        if self._rows.dtype != np.float32 or self._rows.ndim != 2 or len(self._rows) < whole or not starts_fit:
            raise BundleError(f"{folder / vectors.table}: does not fit the features; {version.VERSION.again}")

    @property
    def _slots(self) -> int:
        return self._vectors.starts[-1]

    @property
    def layout(self) -> tuple[np.ndarray, int]:
        """Starts of the vectors [F + 1], and their dimension."""
        return self._starts, self._rows.shape[1]

    def pooled(self, encoded: Encoded) -> np.ndarray:
        """Vectors [B, F, D]."""
        sparse = encoded.sparse[:, : self._slots]
        return rows_of.pooled(self._rows, sparse, self._starts, self._coefficients(sparse, encoded.slot_weight))

    def _coefficients(self, sparse: np.ndarray, slot_weight: np.ndarray | None) -> np.ndarray | None:
        """[B, S]; None where all are 1. As `clickwise.layers.Pooling.coefficients`."""
        weights = None
        if self._vectors.weighted and slot_weight is not None:
            weights = slot_weight[:, : self._slots]
        if not self._vectors.means:
            return weights
        found = np.ones(sparse.shape, np.float32) if weights is None else weights.copy()
        for first, last in self._vectors.means:
            filled = np.count_nonzero(sparse[:, first:last] != PADDING_ROW, axis=1)
            found[:, first:last] /= np.maximum(filled, 1)[:, None].astype(np.float32)
        return found


def _session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime as ort
    except ImportError:
        raise MissingExtraError("serving", "serve") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what goes wrong is raised
    for pool in ("intra", "inter"):
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its own kinds of exceptions have no public base
        raise BundleError(f"{path}: ONNX Runtime cannot use it: {str(error).splitlines()[0]}") from None
