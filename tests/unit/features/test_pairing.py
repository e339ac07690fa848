from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from clickwise.features import FeaturePipeline
from clickwise.features.pairing import Pairing
from clickwise.features.schema_data import schema_from_data

FEATURES = {
    "user": {"transform": "vocabulary", "min_count": 1},
    "age": {"transform": "standard"},
    "item": {"transform": "vocabulary", "min_count": 1},
    "past": {"transform": "sequence", "shares": "item", "max_length": 3, "separator": "|"},
    "tags": {"transform": "vocabulary", "min_count": 1, "separator": "|", "weights": "w"},
    "price": {"transform": "log"},
    "user_x_item": {"transform": "cross", "of": ["user", "item"], "min_count": 1},
    "user_x_tags": {"transform": "cross", "of": ["user", "tags"], "num_buckets": 7},
    "item_x_tags": {"transform": "cross", "of": ["item", "tags"], "min_count": 1},
}
ITEM_COLUMNS = ("item", "tags", "w", "price")
REQUESTS = {"user": ["a", None, "c", "new"], "age": [20.0, None, 40.0, 7.0], "past": ["p|q", "", "q|q|p|r", "zz"]}
ITEMS = {
    "item": ["p", "q", None, "r", "new"],
    "tags": ["s|t", "", "t", "s|unknown", None],
    "w": ["2|1", "", "3", ".5|1", None],
    "price": [1.0, None, 9.0, 100.0, 3.0],
}


def batch(columns: dict[str, list]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def whole(which: np.ndarray, rows: np.ndarray) -> pa.RecordBatch:
    take = {name: [values[i] for i in which] for name, values in REQUESTS.items()}
    return batch(take | {name: [values[i] for i in rows] for name, values in ITEMS.items()})


@pytest.fixture(scope="module")
def pipeline() -> FeaturePipeline:
    schema = schema_from_data({"label": "y", "features": FEATURES}, "schema")
    data = whole(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 2, 3, 0]))
    fit = FeaturePipeline.fitting(schema, {field.name: field.type for field in data.schema})
    fit.update(data)
    crosses = fit.finish().crossing(schema)
    crosses.update(data)
    return crosses.finish()


def test_halves_together_are_the_whole_bit_for_bit(pipeline: FeaturePipeline) -> None:
    pairing = Pairing(pipeline, ITEM_COLUMNS)
    which, rows = (grid.ravel() for grid in np.meshgrid(np.arange(4), np.arange(5), indexing="ij"))
    request, item = pairing.request.encode(batch(REQUESTS)), pairing.item.encode(batch(ITEMS))
    joined, expected = pairing.joined(request, which, item, rows), pipeline.encode(whole(which, rows))
    for name, mine, theirs in zip(joined._fields, joined, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    assert len(np.unique(joined.sparse, axis=0)) > 15  # of 20 rows: crosses and all do differ


def test_each_half_reads_its_own_columns(pipeline: FeaturePipeline) -> None:
    pairing = Pairing(pipeline, ITEM_COLUMNS)
    assert pairing.request.columns == ("user", "age", "past")
    assert pairing.item.columns == ("item", "tags", "price", "w")


def test_a_feature_that_reads_a_request_column_too_is_the_requests(pipeline: FeaturePipeline) -> None:
    pairing = Pairing(pipeline, ("item", "tags", "price"))  # the weights of the tags come with the request
    assert pairing.request.columns == ("user", "age", "past", "tags", "w")
    assert pairing.item.columns == ("item", "price")


def test_without_item_columns_all_is_the_requests(pipeline: FeaturePipeline) -> None:
    pairing = Pairing(pipeline, ())
    data = whole(np.arange(4), np.arange(4))
    nothing = pairing.item.encode(data.select([]))
    joined = pairing.joined(pairing.request.encode(data), np.arange(4), nothing, np.zeros(4, np.int64))
    np.testing.assert_array_equal(joined.sparse, pipeline.encode(data).sparse)
