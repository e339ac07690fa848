"""`FeaturePipeline`: the fitted transforms of a schema. Training and serving call the same object."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.errors import BundleError, DataError, nearest
from clickwise.features import multivalued, stored
from clickwise.features.cross import Cross
from clickwise.features.sequence import Sequence as SequenceTransform
from clickwise.features.side_by_side import side_by_side
from clickwise.features.transform import (
    BadCell,
    BadCells,
    DenseTransform,
    SparseTransform,
    TokenTransform,
    Transform,
)
from clickwise.registry import transforms
from clickwise.schema import PADDING_ROW, Feature, Field, InputSpec, Schema, columns_of


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

    def take(self, at: slice | np.ndarray) -> Encoded:
        """Some of the rows: a slice, or their places."""
        return Encoded(*(None if part is None else part[at] for part in self))  # type: ignore[arg-type]


class FeaturePipeline:
    """Raw columns in, model inputs out.

    Args:
        schema: what the columns mean, and the features.
        fitted: the fitted transform of each feature, by name, in the order of the schema.
        part: the inputs to encode, of those that the features give; None: all.
    """

    def __init__(self, schema: Schema, fitted: Mapping[str, Transform], part: InputSpec | None = None) -> None:
        self.schema = schema
        self.transforms = dict(fitted)
        dense = tuple(name for name, t in fitted.items() if isinstance(t, DenseTransform))
        self.inputs = part or InputSpec(fields=tuple(_fields(fitted)), dense=dense, item=schema.item_side)
        names = {*(field.name for field in self.inputs.fields), *self.inputs.dense}
        features = tuple(f for f in schema.features if f.name in names)
        self._reading = tuple(f for f in features if not f.of)
        self._crosses = tuple(f for f in features if f.of)
        self.columns = columns_of(self._reading)
        """The raw columns that `encode` reads, each once, in order of first use."""

    @property
    def sides(self) -> tuple[FeaturePipeline, FeaturePipeline]:
        """The features of the query, and those of the item, crosses aside."""
        query, item = self.inputs.base.sides
        return self.part(query), self.part(item)

    def part(self, inputs: InputSpec) -> FeaturePipeline:
        """What encodes these inputs alone, to the same table rows: of `self.inputs.base.part`."""
        return FeaturePipeline(self.schema, self.transforms, inputs)

    @classmethod
    def fitting(cls, schema: Schema, types: Mapping[str, pa.DataType]) -> PipelineFit:
        """Begin to fit the features of `schema` that read columns, to columns of these types.

        Its crosses combine fitted features: they are fitted afterwards, in a pass of their own, by `crossing`.

        Raises:
            ConfigError: the schema has no features, crosses numbers, or shares what has no tokens.
            DataError: a column is missing, or has a type that its transform cannot read.
        """
        require(bool(schema.features), "features", "none", "at least one feature")
        schema = _checked(schema).without_crosses()
        fit = PipelineFit(schema)
        needed = {name: pa.nulls(0, types[_known(schema.columns(), list(types), name)]) for name in schema.columns()}
        fit.update(pa.RecordBatch.from_pydict(needed))
        return fit

    def crossing(self, schema: Schema) -> CrossesFit:
        """Begin to fit the crosses of `schema`, whose other features are those of this pipeline.

        Raises:
            ConfigError: a cross has more combinations than there are numbers.
        """
        return CrossesFit(self, schema)

    def encode(self, data: pa.RecordBatch) -> Encoded:
        """Model inputs of the rows of `data`. Columns that no feature reads are not looked at.

        Raises:
            BadCells: all cells that cannot be read. Drop their rows and call again.
            DataError: a column is missing, or has a type that its transform cannot read.
        """
        parsed = _parse(self._reading, data)
        found = self._values(parsed, data.num_rows)
        inputs = self.inputs
        sparse, dense = self.empty(data.num_rows)
        weight = np.empty(sparse.shape, np.float32) if inputs.weighted else None
        for (field, at), offset in zip(inputs.slots(), inputs.offsets(), strict=True):
            ids = found[field.name]
            rows = ids + np.int32(offset)
            sparse[:, at] = rows if field.length == 1 else np.where(ids < 0, PADDING_ROW, rows)
            if weight is not None:
                weight[:, at] = _weights_of(parsed.get(field.name), ids)
        for column, name in enumerate(inputs.dense):
            dense[:, column] = found[name]
        return Encoded(sparse, dense, weight)

    def empty(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Table rows and numbers of so many rows, to be written to."""
        sparse = np.empty((rows, self.inputs.num_slots), np.int32)
        return sparse, np.empty((rows, self.inputs.num_dense), np.float32)

    def ids(self, data: pa.RecordBatch) -> dict[str, np.ndarray]:
        """Ids [n, length] of each field of `data`, -1 where a slot is empty; raises as `encode` does."""
        found = self._values(_parse(self._reading, data), data.num_rows)
        return {field.name: found[field.name] for field in self.inputs.fields}

    def _values(self, parsed: Mapping[str, _Cells], rows: int) -> dict[str, np.ndarray]:
        """Ids [n, length] or numbers [n] of each feature; crosses after the others."""
        found = side_by_side(lambda feature: self._read(feature, parsed[feature.name].values), self._reading, rows)
        values = {feature.name: value for feature, value in zip(self._reading, found, strict=True)}
        crossed = side_by_side(lambda feature: self.cross(feature, values), self._crosses, rows)
        return values | {feature.name: ids for feature, ids in zip(self._crosses, crossed, strict=True)}

    def _read(self, feature: Feature, values: pa.Array) -> np.ndarray:
        transform = self.transforms[feature.name]
        if isinstance(transform, SparseTransform):
            return _ids(transform, values, feature)
        if isinstance(transform, SequenceTransform):
            owner = self.transforms[feature.shares]
            assert isinstance(owner, TokenTransform)
            return transform.ids(values, owner)
        assert isinstance(transform, DenseTransform)
        return transform.numbers(values)

    def cross(self, feature: Feature, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Ids [n, 1] of a cross, of the ids [n, length] of the features that it combines."""
        transform = self.transforms[feature.name]
        assert isinstance(transform, Cross)
        return transform.ids([values[name] for name in feature.of])

    def save(self, folder: Path) -> list[str]:
        """Write the pipeline as JSON and Arrow files into `folder`, made if need be; the names of the files."""
        return stored.write(folder, self.schema, {name: t.state() for name, t in self.transforms.items()})

    @classmethod
    def load(cls, folder: Path) -> FeaturePipeline:
        """The pipeline that `save` wrote. Its tables stay in their files, mapped into memory.

        Raises:
            BundleError: a file is missing, damaged or makes no sense.
        """
        schema, fitted = stored.read(folder)
        for feature in schema.features:
            if feature.shares and not isinstance(fitted[feature.shares], TokenTransform):
                raise BundleError(f"{folder}: {feature.name!r} shares {feature.shares!r}, which has no tokens")
        for feature in schema.crosses:
            cross, parts = fitted[feature.name], [fitted[name] for name in feature.of]
            sizes = [part.field.num_ids for part in parts if isinstance(part, SparseTransform)]
            if not isinstance(cross, Cross) or cross.sizes != tuple(sizes):
                raise BundleError(f"{folder}: the cross {feature.name!r} does not belong to the features it combines")
        return cls(schema, fitted)


class PipelineFit:
    """Fits all features of a schema that has no crosses, in one pass over the rows."""

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
        parsed = _parse(self._schema.features, data)
        side_by_side(lambda fit: fit[1].update(parsed[fit[0]].values), self._fits.items(), data.num_rows)
        self._rows += data.num_rows

    def finish(self) -> FeaturePipeline:
        """The fitted pipeline."""
        finished = side_by_side(lambda fit: fit.finish(), self._fits.values(), self._rows)
        return FeaturePipeline(self._schema, dict(zip(self._fits, finished, strict=True)))


class CrossesFit:
    """Fits the crosses of a schema in one pass over the rows, given the pipeline of its other features."""

    def __init__(self, base: FeaturePipeline, schema: Schema) -> None:
        self._base = base
        self._schema = schema
        fields = {field.name: field for field in base.inputs.fields}
        parts = {f.name: [fields[name] for name in f.of] for f in schema.crosses}
        self._fits = {f.name: Cross.fit(f.name, f.config, parts[f.name]) for f in schema.crosses}

    def update(self, data: pa.RecordBatch) -> None:
        """Take in more rows; raises as `PipelineFit.update` does."""
        ids = self._base.ids(data)

        def count(feature: Feature) -> None:
            self._fits[feature.name].update([ids[name] for name in feature.of])

        side_by_side(count, self._schema.crosses, data.num_rows)

    def finish(self) -> FeaturePipeline:
        """The fitted pipeline, crosses included."""
        fitted = {**self._base.transforms, **{name: fit.finish() for name, fit in self._fits.items()}}
        return FeaturePipeline(self._schema, {f.name: fitted[f.name] for f in self._schema.features})


class _Cells(NamedTuple):
    """A feature's column, parsed, and its column of slot weights."""

    values: pa.Array
    weights: pa.ListArray | None


def _transform_of(feature: Feature) -> Any:
    return transforms.get(transforms.name_of(feature.config))


def _fields(fitted: Mapping[str, Transform]) -> Iterator[Field]:
    """The fields in the order of `InputSpec`: each followed by the sequences that share it, and crosses last."""
    sequences = {name: t for name, t in fitted.items() if isinstance(t, SequenceTransform)}
    for name, transform in fitted.items():
        if isinstance(transform, SparseTransform):
            yield transform.field
            yield from (s.field(transform.field) for s in sequences.values() if s.config.shares == name)
    yield from (t.field for t in fitted.values() if isinstance(t, Cross))


def _checked(schema: Schema) -> Schema:
    """`schema`, whose crosses must be of features that give ids, and whose sequences share features of tokens."""
    kinds = {f.name: _transform_of(f) for f in schema.features}
    numbers = [name for name, kind in kinds.items() if issubclass(kind, DenseTransform)]
    for feature in schema.crosses:
        for name in feature.of:
            allowed = f"features that give ids; {name!r} is a number: cut it into ids by the transform bucket"
            require(name not in numbers, f"features.{feature.name}.of", name, allowed)
    tokens = [name for name, kind in kinds.items() if issubclass(kind, TokenTransform)]
    for feature in schema.features:
        allowed = f"a feature whose transform is vocabulary or hashing: {', '.join(tokens) or 'there is none'}"
        require(feature.shares in ("", *tokens), f"features.{feature.name}.shares", feature.shares, allowed)
    return schema


def _weights_of(cells: _Cells | None, ids: np.ndarray) -> np.ndarray:
    """Slot weights [n, length] of a field: as its cells say, else 1 where a slot is filled."""
    if cells is None or cells.weights is None:
        return ids >= 0
    return multivalued.slot_weights(cells.values, cells.weights, ids.shape[1])


def _parse(features: Sequence[Feature], data: pa.RecordBatch) -> dict[str, _Cells]:
    """The columns of features, none a cross. One `BadCells` holds the bad cells of all columns, in order of row."""
    names, needed = data.schema.names, columns_of(features)
    raw = {name: data.column(names.index(_known(needed, names, name))) for name in needed}
    forms: dict[Hashable, Feature] = {}
    for feature in features:
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
    return {feature.name: parsed[_form(feature)] for feature in features}


def _form(feature: Feature) -> Hashable:
    """What a feature's cells depend on."""
    form = _transform_of(feature).form(feature.config)
    return feature.column, form, getattr(feature.config, "weights", None)


def _parse_or_fail(feature: Feature, raw: Mapping[str, pa.Array]) -> _Cells | BadCells:
    try:
        return _parse_feature(feature, raw)
    except BadCells as error:
        return error


def _known(needed: Sequence[str], names: list[str], name: str) -> str:
    """`name`, which must be there once among the `names` of the data."""
    if names.count(name) == 1:
        return name
    if name in names:
        raise DataError("there are several columns of this name", column=name, fix="give each column its own name")
    fix = f"the features need all of {', '.join(needed)}"
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
