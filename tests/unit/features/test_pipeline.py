from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import ConfigError, DataError
from clickwise.features import FeaturePipeline, Hashing, Quantile, Standardise, Vocabulary
from clickwise.features.transform import BadCell, BadCells
from clickwise.schema import Feature, Schema

HASH = Hashing.Config(num_buckets=4)
SCHEMA = Schema(
    label="y",
    features=(
        Feature(name="x", column="x", config=Standardise.Config()),
        Feature(name="a", column="a", config=Vocabulary.Config()),
        Feature(name="x_cdf", column="x", config=Quantile.Config(num_quantiles=3)),
        Feature(name="tags", column="tags", config=Vocabulary.Config(separator="|", weights="w")),
        Feature(name="b", column="b", config=HASH),
    ),
)
ROWS = {
    "b": ["u", "v", None, "u"],
    "a": ["p", "q", "p", None],
    "x": [1, 2, None, 6],
    "tags": ["s|t", "s", "", "t|s|s"],
    "w": ["1|.5", "", "", "3|2|1"],
    "y": [0, 1, 0, 1],
}


def batch(**changes: list[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({k: pa.array(v) for k, v in (ROWS | changes).items()})


def types(data: pa.RecordBatch) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in data.schema}


def fitted(data: pa.RecordBatch, schema: Schema = SCHEMA) -> FeaturePipeline:
    fit = FeaturePipeline.fitting(schema, types(data))
    fit.update(data)
    return fit.finish()


def test_encode_gives_table_rows_dense_numbers_and_weights() -> None:
    pipeline = fitted(batch())
    assert [(f.name, f.num_ids, f.length, f.weighted) for f in pipeline.inputs.fields] == [
        ("a", 4, 1, False),
        ("tags", 4, 3, True),
        ("b", 6, 1, False),
    ]
    assert pipeline.inputs.dense == ("x", "x_cdf")
    assert pipeline.inputs.offsets() == [1, 5, 9]
    encoded = pipeline.encode(batch())
    u, v = (9 + int(i) for i in pipeline.transforms["b"].ids(Hashing.parse(HASH, pa.array(["u", "v"])))[:, 0])
    # a: p is 2, q is 3, from row 1 on; tags: s (4 times) is 2, t is 3, from row 5 on; 0 is padding
    assert encoded.sparse.tolist() == [
        [3, 7, 8, 0, u],
        [4, 7, 0, 0, v],
        [3, 5, 0, 0, 9],
        [1, 8, 7, 7, u],
    ]
    assert encoded.sparse.dtype == np.int32
    deviation = np.sqrt(14 / 3)  # of 1, 2, 6; their mean is 3
    np.testing.assert_allclose(encoded.dense[:, 0], [-2 / deviation, -1 / deviation, 0, 3 / deviation], rtol=1e-6)
    assert encoded.dense[:, 1].tolist() == [0, 0.5, 0, 1]
    assert encoded.slot_weight is not None
    assert encoded.slot_weight.tolist() == [[1, 1, 0.5, 0, 1], [1, 1, 0, 0, 1], [1, 1, 0, 0, 1], [1, 3, 2, 1, 1]]


def test_all_bad_cells_come_at_once_and_nothing_is_taken_in() -> None:
    good = batch()
    bad = batch(x=["1", "2", "two", "6"], a=["p", "p" * 5000, "p", None], w=["1|.5", "", "", "3|2"])
    fit = FeaturePipeline.fitting(SCHEMA, types(bad))
    with pytest.raises(BadCells) as caught:
        fit.update(bad)
    wanted = [(1, "a", "p" * 200), (2, "x", "two"), (3, "w", "3|2")]
    assert [(c.position, c.column, c.value) for c in caught.value.cells] == wanted
    assert caught.value.cells[2].problem == "has not as many weights as 'tags' has values"
    fit.update(good)
    pipeline = fit.finish()
    assert pipeline.transforms["a"].state() == fitted(good).transforms["a"].state()
    assert pipeline.transforms["x"].state() == fitted(good).transforms["x"].state()
    with pytest.raises(BadCells) as again:
        pipeline.encode(bad)
    assert again.value.cells == caught.value.cells
    kept = [0]
    np.testing.assert_array_equal(pipeline.encode(bad.take(pa.array(kept))).sparse, pipeline.encode(good).sparse[kept])


def test_rows_without_the_bad_ones_are_read_as_before() -> None:
    with pytest.raises(BadCells) as caught:
        fitted(batch(x=["a", "", "b", "1"]))
    assert caught.value.cells == [BadCell(i, "x", t, "is not a number") for i, t in ((0, "a"), (2, "b"))]


def test_a_missing_column_is_named_with_the_nearest() -> None:
    data = batch().rename_columns(["b", "a", "x", "tag", "w", "y"])
    message = (
        r"column 'tags': there is no such column \(did you mean 'tag'\?\); the features need all of x, a, tags, b, w"
    )
    for call in (lambda: FeaturePipeline.fitting(SCHEMA, types(data)), lambda: fitted(batch()).encode(data)):
        with pytest.raises(DataError, match=message):
            call()


def test_the_label_and_columns_that_nobody_reads_may_be_absent_or_odd() -> None:
    pipeline = fitted(batch())
    bare = batch().drop_columns(["y"]).append_column("odd", pa.array([{"k": 1}] * 4))
    np.testing.assert_array_equal(pipeline.encode(bare).sparse, pipeline.encode(batch()).sparse)


def test_a_type_that_cannot_be_read_is_refused_before_any_row_is() -> None:
    odd = types(batch()) | {"a": pa.struct({"k": pa.int64()})}
    with pytest.raises(DataError, match=r"column 'a': has type struct<k: int64>, which holds no categories"):
        FeaturePipeline.fitting(SCHEMA, odd)
    with pytest.raises(DataError, match=r"column 'x': has type date32"):
        FeaturePipeline.fitting(SCHEMA, types(batch()) | {"x": pa.date32()})


@pytest.mark.parametrize(
    "kind",
    [pa.dictionary(pa.int8(), pa.string()), pa.string_view(), pa.run_end_encoded(pa.int32(), pa.string()), pa.null()],
)
def test_fitting_begins_with_columns_of_any_readable_type(kind: pa.DataType) -> None:
    FeaturePipeline.fitting(SCHEMA, types(batch()) | {"a": kind})


def test_lists_where_single_values_were_fitted_name_the_column() -> None:
    pipeline = fitted(batch())
    with pytest.raises(DataError, match="column 'a': holds lists"):
        pipeline.encode(batch(a=[["p"], [], None, ["q"]]))


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.RecordBatch.from_arrays([*batch().columns, pa.array([1] * 4)], names=[*ROWS, "x"])
    with pytest.raises(DataError, match="column 'x': there are several columns of this name"):
        fitted(batch()).encode(twice)


def test_no_features_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one feature"):
        FeaturePipeline.fitting(Schema(label="y"), {})


def test_no_weighted_field_gives_no_weights_and_no_rows_give_no_rows() -> None:
    pipeline = fitted(batch(), Schema(label="y", features=SCHEMA.features[:2]))
    encoded = pipeline.encode(batch()[:0])
    assert encoded.slot_weight is None
    assert (encoded.sparse.shape, encoded.dense.shape) == ((0, 1), (0, 1))
