"""What every registered transform must do. A new transform adds its example here, and the tests cover it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.features import FeaturePipeline, Sequence
from clickwise.features.transform import ColumnTransform, DenseTransform, SparseTransform
from clickwise.registry import transforms
from clickwise.schema import Feature, Schema

ROWS = 600


@dataclass
class Example:
    """A config of a transform, a column to fit it to, and cells it has not seen.

    A transform that shares the ids of another feature gets the one called "owner", of this transform.
    """

    transform: str
    settings: dict[str, Any]
    column: pa.Array
    unseen: list[Any]
    weights: pa.Array | None = None
    owner: str = ""

    @property
    def config(self) -> Any:
        return transforms.get(self.transform).Config(**self.settings)

    def pipeline(self, *chunks: pa.RecordBatch) -> FeaturePipeline:
        features = [Feature(name="f", column="x", config=self.config)]
        if self.owner:
            settings = {"num_buckets": 25} if self.owner == "hashing" else {"max_size": 20}
            config = transforms.get(self.owner).Config(**settings)
            features.append(Feature(name="owner", column="o", config=config))
        types = {field.name: field.type for field in chunks[0].schema}
        fit = FeaturePipeline.fitting(Schema(label="y", features=tuple(features)), types)
        for chunk in chunks:
            fit.update(chunk)
        return fit.finish()

    def batch(self, column: pa.Array | None = None) -> pa.RecordBatch:
        x = self.column if column is None else column
        columns = {"x": x, "o": pa.array([f"t{i % 37}" for i in range(len(x))], pa.string())}
        return pa.RecordBatch.from_pydict(columns | ({} if self.weights is None else {"w": self.weights}))


def _examples() -> dict[str, Example]:
    rng = np.random.default_rng(0)
    holes = rng.random(ROWS) < 0.1
    words = pa.array([f"w{i}" for i in rng.zipf(1.5, ROWS) % 90], mask=holes)
    numbers = pa.array(np.where(rng.random(ROWS) < 0.05, np.nan, rng.lognormal(2, 2, ROWS).round(3)), mask=holes)
    lists = [None if h else [f"t{i}" for i in rng.integers(0, 40, n)] for h, n in zip(holes, rng.integers(0, 6, ROWS))]  # noqa: B905
    weights = [None if w is None else rng.random(len(w)).round(3).tolist() for w in lists]
    joined = pa.array([None if w is None else "|".join(w) for w in lists])
    start = dt.datetime(2020, 2, 27, 22, 40)
    times = pa.array([start + dt.timedelta(minutes=int(m)) for m in rng.integers(0, 300_000, ROWS)], mask=holes)
    new_numbers = [-1e300, 0.0, 1e300, math.inf, -math.inf, math.nan]
    new_times = [dt.datetime(1969, 7, 20, 20, 17), dt.datetime(2099, 12, 31, 23, 59)]
    return {
        "vocabulary": Example("vocabulary", {"min_count": 2, "max_size": 30}, words, ["new", "x" * 4096, "é"]),
        "vocabulary of lists": Example("vocabulary", {}, pa.array(lists), [["new"], ["t1"] * 9, [None], []]),
        "vocabulary of cut text": Example(
            "vocabulary", {"separator": "|", "max_length": 3}, joined, ["new|t1", "|", "||a"]
        ),
        "vocabulary with weights": Example(
            "vocabulary", {"weights": "w"}, pa.array(lists), [], pa.array(weights, pa.list_(pa.float64()))
        ),
        "hashing": Example("hashing", {"num_buckets": 50, "seed": 3}, words, ["new", "x" * 4096, "é"]),
        "hashing of lists": Example(
            "hashing", {"num_buckets": 9, "pooling": "sum"}, pa.array(lists), [["new"] * 70, [None]]
        ),
        "sequence of lists": Example(
            "sequence", {"shares": "owner"}, pa.array(lists), [["new"] * 70, [None], ["t1", None]], owner="vocabulary"
        ),
        "sequence of cut text": Example(
            "sequence",
            {"shares": "owner", "separator": "|", "max_length": 3},
            joined,
            ["new|t1", "|", "||a"],
            owner="hashing",
        ),
        "quantile": Example("quantile", {"num_quantiles": 20, "missing": 0.5}, numbers, new_numbers),
        "bucket": Example("bucket", {"num_buckets": 12}, numbers, new_numbers),
        "bucket at boundaries": Example("bucket", {"boundaries": (1.0, 10.0)}, numbers, new_numbers),
        "log": Example("log", {}, numbers, new_numbers),
        "standard": Example("standard", {"missing": -1.0}, numbers, new_numbers),
        "datetime": Example("datetime", {"part": "hour_of_week"}, times, new_times),
        "datetime, day": Example("datetime", {"part": "day"}, times, new_times),
        "datetime, month": Example("datetime", {"part": "month"}, times, new_times),
    }


def _output(pipeline: FeaturePipeline, parsed: pa.Array) -> np.ndarray:
    """Ids or numbers of the feature f."""
    transform = pipeline.transforms["f"]
    if isinstance(transform, Sequence):
        return transform.ids(parsed, pipeline.transforms["owner"])
    return transform.ids(parsed) if isinstance(transform, SparseTransform) else transform.numbers(parsed)


EXAMPLES = _examples()
each = pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))


def _assert_equal(a: Any, b: Any, atol: float = 0.0) -> None:
    np.testing.assert_array_equal(a.sparse, b.sparse)
    np.testing.assert_allclose(a.dense, b.dense, rtol=0, atol=atol)
    assert (a.slot_weight is None) == (b.slot_weight is None)
    if a.slot_weight is not None:
        np.testing.assert_array_equal(a.slot_weight, b.slot_weight)


def test_every_registered_transform_has_an_example() -> None:
    reading_columns = {name for name in transforms if issubclass(transforms.get(name), ColumnTransform)}
    assert {e.transform for e in EXAMPLES.values()} == reading_columns
    assert set(transforms) - reading_columns == {"cross"}  # tests/unit/features/test_cross.py


@each
def test_fit_in_chunks_equals_fit_at_once(example: Example) -> None:
    data = example.batch()
    whole = example.pipeline(data)
    chunked = example.pipeline(data[:1], data[1:1], data[1:130], data[130:131], data[131:])
    assert whole.inputs == chunked.inputs
    _assert_equal(whole.encode(data), chunked.encode(data), atol=1e-6)
    a, b = whole.transforms["f"].state(), chunked.transforms["f"].state()
    assert a.table == b.table
    assert set(a.values) == set(b.values)
    for key, value in a.values.items():
        np.testing.assert_allclose(value, b.values[key], rtol=1e-9, atol=1e-9, err_msg=key)


@each
def test_the_column_tells_rows_apart(example: Example) -> None:
    encoded = example.pipeline(example.batch()).encode(example.batch())
    assert len(np.unique(np.hstack([encoded.sparse, encoded.dense]), axis=0)) > 2


@each
def test_one_row_equals_a_batch(example: Example) -> None:
    data = example.batch()
    pipeline = example.pipeline(data)
    whole = pipeline.encode(data)
    for i in range(0, ROWS, 7):
        one = pipeline.encode(data[i : i + 1])
        np.testing.assert_array_equal(one.sparse[0], whole.sparse[i])
        np.testing.assert_array_equal(one.dense[0], whole.dense[i])


@each
def test_state_round_trip_through_files(example: Example, tmp_path: Path) -> None:
    data = example.batch()
    pipeline = example.pipeline(data)
    names = pipeline.save(tmp_path)
    assert sorted(names) == sorted(p.name for p in tmp_path.iterdir())
    loaded = FeaturePipeline.load(tmp_path)
    assert loaded.schema == pipeline.schema
    assert loaded.inputs == pipeline.inputs
    _assert_equal(loaded.encode(data), pipeline.encode(data))
    before, after = pipeline.transforms["f"].state(), loaded.transforms["f"].state()
    assert before.values == after.values
    assert before.table == after.table


@each
def test_ids_are_in_range_and_numbers_finite_whatever_comes(example: Example) -> None:
    pipeline = example.pipeline(example.batch())
    transform = pipeline.transforms["f"]
    for column in (example.column, pa.array(example.unseen, example.column.type), pa.nulls(3), example.column[:0]):
        output = _output(pipeline, transform.parse(example.config, column))
        if fields := [field for field in pipeline.inputs.fields if field.name == "f"]:
            ids, field = output, fields[0]
            assert ids.shape == (len(column), field.length)
            assert ids.dtype == np.int32
            assert ((ids >= -1) & (ids < field.num_ids)).all()
            assert (np.diff((ids >= 0).astype(int), axis=1) <= 0).all()  # empty slots come last
            assert field.shares or (ids[:, 0] >= 0).all()
        else:
            assert isinstance(transform, DenseTransform)
            numbers = output
            assert numbers.shape == (len(column),)
            assert numbers.dtype == np.float32
            assert np.isfinite(numbers).all()


@each
def test_missing_is_the_missing_id_or_number(example: Example) -> None:
    pipeline = example.pipeline(example.batch())
    transform, config = pipeline.transforms["f"], example.config
    for column in (pa.nulls(1), pa.array([None], example.column.type)):
        output = _output(pipeline, transform.parse(config, column))[0]
        if isinstance(transform, DenseTransform):
            assert output == np.float32(config.missing)
        else:
            first = -1 if isinstance(transform, Sequence) else 0  # a missing history is an empty one
            assert output.tolist() == [first] + [-1] * (len(output) - 1)


@each
def test_input_is_not_changed(example: Example) -> None:
    data = example.batch()
    before = data.serialize().to_pybytes()
    example.pipeline(data).encode(data)
    assert data.serialize().to_pybytes() == before


def _other_forms(column: pa.Array) -> dict[str, pa.Array]:
    padded = pa.concat_arrays([column[:5], column, column[:3]])
    forms: dict[str, Any] = {
        "sliced": padded[5 : 5 + len(column)],
        "chunked": pa.chunked_array([column[:9], column[9:]]),
    }
    if pa.types.is_string(column.type):
        forms |= {t: column.cast(t) for t in ("large_string", "binary", "string_view")}
    if not pa.types.is_list(column.type):
        forms["dictionary"] = column.dictionary_encode()
        forms["sliced dictionary"] = padded.dictionary_encode()[5 : 5 + len(column)]
    else:
        forms["large list"] = column.cast(pa.large_list(column.type.value_type))
        forms["list of dictionary"] = column.cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
    return forms


@each
def test_every_form_of_a_column_gives_the_same(example: Example) -> None:
    data = example.batch()
    pipeline = example.pipeline(data)
    transform = pipeline.transforms["f"]
    wanted = _output(pipeline, transform.parse(example.config, example.column))
    for name, form in _other_forms(example.column).items():
        found = _output(pipeline, transform.parse(example.config, form))
        np.testing.assert_array_equal(found, wanted, err_msg=name)


@each
def test_nothing_but_missing_values_and_no_rows_can_be_fitted(example: Example, tmp_path: Path) -> None:
    for rows in (0, 4):
        empty = pa.nulls(rows, example.column.type)
        columns = {"x": empty, "o": pa.nulls(rows, pa.string()), "w": pa.nulls(rows, pa.list_(pa.float64()))}
        batch = pa.RecordBatch.from_pydict(columns)
        pipeline = example.pipeline(batch)
        pipeline.save(tmp_path / str(rows))
        loaded = FeaturePipeline.load(tmp_path / str(rows))
        if example.weights is None:
            _assert_equal(pipeline.encode(example.batch()), loaded.encode(example.batch()))
