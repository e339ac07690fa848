"""`FeaturePipeline`: the fitted transforms of a schema. Training and serving call the same object."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.errors import DataError, nearest
from clickwise.features import multivalued, stored
from clickwise.features.side_by_side import side_by_side
from clickwise.features.transform import BadCell, BadCells, DenseTransform, SparseTransform, Transform
from clickwise.registry import transforms
from clickwise.schema import PADDING_ROW, Feature, InputSpec, Schema


class Encoded(NamedTuple):
    """B encoded rows.

    Args:
        sparse: [B, S] int32 table rows; `PADDING_ROW` where a slot is empty.
        dense: [B, N] float32, finite.
        slot_weight: [B, S] float32, 0 where a slot is empty; None when no field is weighted.
    """

    sparse: np.ndarray
    dense: np.ndarray
    slot_weight: np.ndarray | None


class FeaturePipeline:
    """Raw columns in, model inputs out.

    Args:
        schema: what the columns mean, and the features.
        fitted: the fitted transform of each feature, by name, in the order of the schema.
    """

    def __init__(self, schema: Schema, fitted: Mapping[str, Transform]) -> None:
        self.schema = schema
        self.transforms = dict(fitted)
        sparse = tuple(t.field for t in fitted.values() if isinstance(t, SparseTransform))
        dense = tuple(name for name, t in fitted.items() if isinstance(t, DenseTransform))
        self.inputs = InputSpec(fields=sparse, dense=dense)

    @classmethod
    def fitting(cls, schema: Schema, types: Mapping[str, pa.DataType]) -> PipelineFit:
        """Begin to fit the features of `schema` to columns of these types.

        Raises:
            ConfigError: the schema has no features.
            DataError: a column is missing, or has a type that its transform cannot read.
        """
        require(bool(schema.features), "features", "none", "at least one feature")
        fit = PipelineFit(schema)
        needed = {name: pa.nulls(0, types[_known(schema, list(types), name)]) for name in schema.columns()}
        fit.update(pa.RecordBatch.from_pydict(needed))
        return fit

    def encode(self, data: pa.RecordBatch) -> Encoded:
        """Model inputs of the rows of `data`. Columns that no feature reads are not looked at.

        Raises:
            BadCells: all cells that cannot be read. Drop their rows and call again.
            DataError: a column is missing, or has a type that its transform cannot read.
        """
        parsed = _parse(self.schema, data)
        inputs, offsets = self.inputs, iter(self.inputs.offsets())
        sparse = np.empty((data.num_rows, inputs.num_slots), np.int32)
        dense = np.empty((data.num_rows, inputs.num_dense), np.float32)
        weight = np.empty(sparse.shape, np.float32) if inputs.weighted else None
        slots = iter(inputs.slots())
        column = 0
        values = side_by_side(partial(self._values, parsed), self.schema.features, data.num_rows)
        for feature, ids in zip(self.schema.features, values, strict=True):
            transform, cells = self.transforms[feature.name], parsed[feature.name]
            if isinstance(transform, DenseTransform):
                dense[:, column] = ids
                column += 1
            elif isinstance(transform, SparseTransform):
                (field, at), offset = next(slots), np.int32(next(offsets))
                sparse[:, at] = ids + offset if field.length == 1 else np.where(ids < 0, PADDING_ROW, ids + offset)
                if weight is not None and cells.weights is not None:
                    weight[:, at] = multivalued.slot_weights(cells.values, cells.weights, field.length)
                elif weight is not None:
                    weight[:, at] = ids >= 0
        return Encoded(sparse, dense, weight)

    def _values(self, parsed: Mapping[str, _Cells], feature: Feature) -> np.ndarray:
        """Ids [n, length] or numbers [n] of one feature."""
        transform, values = self.transforms[feature.name], parsed[feature.name].values
        if isinstance(transform, SparseTransform):
            return _ids(transform, values, feature)
        assert isinstance(transform, DenseTransform)
        return transform.numbers(values)

    def save(self, folder: Path) -> list[str]:
        """Write the pipeline as JSON and Arrow files into `folder`, made if need be; the names of the files."""
        return stored.write(folder, self.schema, {name: t.state() for name, t in self.transforms.items()})

    @classmethod
    def load(cls, folder: Path) -> FeaturePipeline:
        """The pipeline that `save` wrote. Its tables stay in their files, mapped into memory.

        Raises:
            BundleError: a file is missing, damaged or makes no sense.
        """
        return cls(*stored.read(folder))


class PipelineFit:
    """Fits all features of a schema in one pass over the rows."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._rows = 0
        self._fits = {f.name: _transform_of(f).fit(f.name, f.config) for f in schema.features}

    def update(self, data: pa.RecordBatch) -> None:
        """Take in more rows.

        Raises:
            BadCells: all cells that cannot be read; nothing was taken in. Drop their rows and call again.
            DataError: a column is missing, or has a type that its transform cannot read.
        """
        parsed = _parse(self._schema, data)
        side_by_side(lambda fit: fit[1].update(parsed[fit[0]].values), self._fits.items(), data.num_rows)
        self._rows += data.num_rows

    def finish(self) -> FeaturePipeline:
        """The fitted pipeline."""
        finished = side_by_side(lambda fit: fit.finish(), self._fits.values(), self._rows)
        return FeaturePipeline(self._schema, dict(zip(self._fits, finished, strict=True)))


class _Cells(NamedTuple):
    """A feature's column, parsed, and its column of slot weights."""

    values: pa.Array
    weights: pa.ListArray | None


def _transform_of(feature: Feature) -> Any:
    return transforms.get(transforms.name_of(feature.config))


def _parse(schema: Schema, data: pa.RecordBatch) -> dict[str, _Cells]:
    """The columns of all features. One `BadCells` holds the bad cells of all columns, in order of row."""
    names = data.schema.names
    raw = {name: data.column(names.index(_known(schema, names, name))) for name in schema.columns()}
    forms: dict[Hashable, Feature] = {}
    for feature in schema.features:
        forms.setdefault(_form(feature), feature)
    done = side_by_side(lambda feature: _parse_or_fail(feature, raw), forms.values(), data.num_rows)
    bad: dict[tuple[int, str], BadCell] = {}
    for error in done:
        if isinstance(error, BadCells):
            for cell in error.cells:
                bad.setdefault((cell.position, cell.column), cell)
    if bad:
        raise BadCells([bad[key] for key in sorted(bad)])
    parsed = {form: cells for form, cells in zip(forms, done, strict=True) if not isinstance(cells, BadCells)}
    return {feature.name: parsed[_form(feature)] for feature in schema.features}


def _form(feature: Feature) -> Hashable:
    """What a feature's cells depend on."""
    form = _transform_of(feature).form(feature.config)
    return feature.column, form, getattr(feature.config, "weights", None)


def _parse_or_fail(feature: Feature, raw: Mapping[str, pa.Array]) -> _Cells | BadCells:
    try:
        return _parse_feature(feature, raw)
    except BadCells as error:
        return error


def _known(schema: Schema, names: list[str], name: str) -> str:
    """`name`, which must be there once among the `names` of the data."""
    if names.count(name) == 1:
        return name
    if name in names:
        raise DataError("there are several columns of this name", column=name, fix="give each column its own name")
    fix = f"the features need all of {', '.join(schema.columns())}"
    raise DataError(f"there is no such column{nearest(name, names)}", column=name, fix=fix)


def _parse_feature(feature: Feature, raw: Mapping[str, pa.Array]) -> _Cells:
    values = _parse_column(_transform_of(feature).parse, feature.config, feature.column, raw)
    name = getattr(feature.config, "weights", None)
    if name is None:
        return _Cells(values, None)
    weights = _parse_column(multivalued.parse_weights, feature.config, name, raw)
    wrong = multivalued.weights_mismatch(values, weights).tolist()
    if wrong:
        problem = f"has not as many weights as {feature.column!r} has values"
        raise BadCells([BadCell(i, name, str(raw[name][i].as_py()), problem) for i in wrong])
    return _Cells(values, weights)


def _parse_column(parse: Any, config: Any, name: str, raw: Mapping[str, pa.Array]) -> Any:
    """`parse`, with the name of the column put into what it raises."""
    try:
        return parse(config, raw[name])
    except BadCells as error:
        raise BadCells([cell._replace(column=name) for cell in error.cells]) from None
    except DataError as error:
        raise DataError(str(error), column=name) from None


def _ids(transform: SparseTransform, values: pa.Array, feature: Feature) -> np.ndarray:
    try:
        return transform.ids(values)
    except DataError as error:
        raise DataError(str(error), column=feature.column) from None
