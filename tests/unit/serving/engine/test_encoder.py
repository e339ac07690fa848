"""Online = offline: a request in JSON gets the ids and numbers that training gave to the same values."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clickwise.data.frames import rows_to_batch
from clickwise.errors import ClickwiseError, RequestError
from clickwise.features import FeaturePipeline
from clickwise.features.pipeline import Encoded
from clickwise.features.schema_data import schema_from_data
from clickwise.features.transform import BadCells
from clickwise.native import requests
from clickwise.serving.engine.columns import kinds_of
from clickwise.serving.engine.compiled_reader import CompiledReader
from clickwise.serving.engine.encoder import Encoder
from clickwise.serving.engine.row_reader import RowReader
from clickwise.serving.engine.slow_reader import SlowReader

FEATURES = {
    "user": {"transform": "vocabulary", "min_count": 1},
    "count": {"transform": "vocabulary", "min_count": 1},
    "ratio": {"transform": "vocabulary", "min_count": 1},
    "flag": {"transform": "vocabulary", "min_count": 1},
    "hashed": {"transform": "hashing", "num_buckets": 50, "column": "site"},
    "site": {"transform": "vocabulary", "min_count": 1},
    "age": {"transform": "standard"},
    "age_cut": {"transform": "bucket", "num_buckets": 4, "column": "age"},
    "price": {"transform": "log"},
    "hour": {"transform": "datetime", "part": "hour", "column": "when"},
    "item": {"transform": "vocabulary", "min_count": 1},
    "past": {"transform": "sequence", "shares": "item", "max_length": 3},
    "clicked": {"transform": "sequence", "shares": "item", "max_length": 2, "separator": "|"},
    "likes": {"transform": "hashing", "num_buckets": 9, "max_length": 2},
    "tags": {"transform": "vocabulary", "min_count": 1, "weights": "w"},
    "kinds": {"transform": "vocabulary", "min_count": 1, "separator": "|"},
    "user_x_item": {"transform": "cross", "of": ["user", "item"], "min_count": 1},
    "item_x_tags": {"transform": "cross", "of": ["item", "tags"], "num_buckets": 7},
}
TRAINING = {
    "user": ["a", "b", None, "3", "true", "1e22", "€"],
    "count": [1, 2, None, 3, 10**15, -7, 0],
    "ratio": [0.5, 2.0, None, 1e22, 1e-7, -0.25, 0.1],
    "flag": [True, False, None, True, True, False, True],
    "site": ["s", "t", "", "u", "s", "s", "0.5"],
    "age": [20.0, 30.0, None, 40.5, 7.0, 99.0, 1.0],
    "price": [1.0, 0.0, 10.0, None, 5.0, 2.5, 100.0],
    "when": [
        "2026-01-01T10:00:00",
        "2026-01-02T23:59:59",
        None,
        "2026-03-01",
        "2026-01-01T00:00:00",
        "1767261600",
        None,
    ],
    "item": ["p", "q", None, "r", "p", "7", "q"],
    "past": [["p", "q"], [], None, ["r", "7", "p", "q"], ["q"], ["p"], []],
    "clicked": ["p|q", "", None, "r", "q", "7|7", "p"],
    "likes": [["x"], ["y", "z"], None, [], ["x", "y"], ["z"], ["x"]],
    "tags": [["u", "v"], ["u"], None, [], ["w", "u"], ["v"], ["u"]],
    "w": [[1.0, 2.0], None, None, [], [0.5, 3.0], [2.0], None],
    "kinds": ["k|l", "k", None, "", "m|k", "l", "k"],
}


def fitted() -> FeaturePipeline:
    schema = schema_from_data({"label": "y", "features": FEATURES}, "schema")
    data = pa.RecordBatch.from_pydict(TRAINING)
    fit = FeaturePipeline.fitting(schema, {field.name: field.type for field in data.schema})
    fit.update(data)
    crosses = fit.finish().crossing(schema)
    crosses.update(data)
    return crosses.finish()


PIPELINE = fitted()
READERS = [SlowReader, *([CompiledReader] if requests.compiled() else [])]


def online(user: dict[str, Any], candidates: list[dict[str, Any]]) -> list[Encoded]:
    """What each reader leads to."""
    body = json.dumps({"user": user, "candidates": candidates}).encode()
    readers = [kind(kinds_of(PIPELINE)) for kind in READERS]
    return [Encoder(PIPELINE).request(reader.read(body, 100)).encoded for reader in readers]


def offline(rows: list[dict[str, Any]]) -> Encoded:
    whole = [{name: row.get(name) for name in PIPELINE.columns} for row in rows]
    return PIPELINE.encode(rows_to_batch(whole, PIPELINE.columns))


def same(found: Encoded, expected: Encoded) -> None:
    for name, mine, theirs in zip(expected._fields, found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


def maybe(values: Any) -> Any:
    return st.one_of(st.none(), values)


def listed(values: Any) -> Any:
    return maybe(st.lists(maybe(values), max_size=5))


finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.one_of(st.sampled_from(["a", "b", "", "3", "true", "€", "1e22", "new"]), st.text(max_size=5))
items = st.sampled_from(["p", "q", "r", "7", "new", ""])
COLUMNS = {
    "user": maybe(texts),
    "count": maybe(st.one_of(st.integers(-8, 4), st.integers(-(2**63), 2**63 - 1))),
    "ratio": maybe(st.one_of(st.sampled_from([0.5, 2.0, 1e22, 1e-7, -0.25, 0.1, -0.0]), finite)),
    "flag": maybe(st.booleans()),
    "site": maybe(texts),
    "age": maybe(st.one_of(st.sampled_from([20.0, 30.0, 7.0, 1.0, 0.1 + 0.2]), finite)),
    "price": maybe(st.integers(0, 200)),
    "when": maybe(st.datetimes().map(lambda t: t.isoformat())),
    "item": maybe(items),
    "past": listed(items),
    "clicked": maybe(st.lists(items, max_size=4).map("|".join)),
    "likes": listed(st.sampled_from(["x", "y", "z", "new", ""])),
    "tags": listed(st.sampled_from(["u", "v", "w", "new", ""])),
    "kinds": maybe(st.lists(st.sampled_from(["k", "l", "m", "new", ""]), max_size=3).map("|".join)),
}


@st.composite
def asked(draw: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A request whose columns each have values of one type."""
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), unique=True, min_size=1))
    of_user = {name: draw(st.booleans()) for name in names}
    count = draw(st.integers(1, 4))
    user = {name: draw(COLUMNS[name]) for name in names if of_user[name]}
    rows = [{name: draw(COLUMNS[name]) for name in names if not of_user[name]} for _ in range(count)]
    if "tags" in names and draw(st.booleans()):
        for row in [user] if of_user["tags"] else rows:
            row["w"] = None if row["tags"] is None else [draw(st.floats(0.5, 3.0)) for _ in row["tags"]]
    return user, rows


@settings(max_examples=300, deadline=None)
@given(asked())
@example(({"when": "2026-01-01T10:00:00Z"}, [{"user": "a"}]))
@example(({"tags": ["u", "v"], "w": [2.0, 3.0]}, [{"item": "p"}, {"item": None}]))
def test_the_same_values_get_the_same_ids_and_numbers(wanted: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    user, candidates = wanted
    try:
        expected = offline([{**user, **candidate} for candidate in candidates])
    except (BadCells, ClickwiseError):
        with pytest.raises(RequestError):
            online(user, candidates)
        return
    for found in online(user, candidates):
        same(found, expected)


def test_weights_of_the_user_meet_values_of_the_candidates() -> None:
    candidates = [{"tags": ["u", "v"]}, {"tags": ["w", "new"]}]
    expected = offline([{**candidate, "w": [2.0, 3.0]} for candidate in candidates])
    for found in online({"w": [2.0, 3.0]}, candidates):
        same(found, expected)


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "when"])
def test_values_of_training_are_found_again(column: str) -> None:
    """Column by column as JSON writes it, beside the types that training had."""
    values = TRAINING[column]
    for found in online({}, [{column: value} for value in values]):
        typed = {name: pa.array(TRAINING[name]) for name in PIPELINE.columns}
        alone = {name: array if name == column else pa.nulls(len(values), array.type) for name, array in typed.items()}
        same(found, PIPELINE.encode(pa.RecordBatch.from_pydict(alone)))
    known = [value for value in values if value not in (None, "", [])]
    assert len({str(value) for value in known}) > 1


@pytest.mark.parametrize(
    ("candidates", "says"),
    [
        ([{"age": 1}, {"age": "old"}], "candidate 2, column 'age', value 'old': is not a number"),
        ([{"user": "x" * 5000}], "candidate 1, column 'user'"),
        ([{"when": "yesterday"}], "candidate 1, column 'when', value 'yesterday'"),
        ([{"tags": ["u"], "w": [1, 2]}], "candidate 1, column 'w'"),
        ([{"other": 1}], "has none of the model's columns"),
        ([{}], "has none of the model's columns"),
    ],
)
def test_cells_that_cannot_be_read_are_named(candidates: list[dict[str, Any]], says: str) -> None:
    for kind in READERS:
        body = json.dumps({"candidates": candidates}).encode()
        with pytest.raises(RequestError) as error:
            Encoder(PIPELINE).request(kind(kinds_of(PIPELINE)).read(body, 9))
        assert says in str(error.value)


def shared(user: dict[str, Any], candidates: list[dict[str, Any]]) -> set[str]:
    """Fields that are said to be the same in all rows, and are."""
    body = json.dumps({"user": user, "candidates": candidates}).encode()
    found = Encoder(PIPELINE).request(SlowReader(kinds_of(PIPELINE)).read(body, 100))
    assert (found.encoded.sparse == found.encoded.sparse[:1])[:, found.shared].all()
    slots = list(PIPELINE.inputs.slots())
    assert all(found.shared[at].all() == found.shared[at].any() for _, at in slots)
    return {field.name for field, at in slots if found.shared[at].any()}


def test_slots_that_only_the_user_fills_are_the_same_in_all_rows() -> None:
    everything = {field.name for field in PIPELINE.inputs.fields}
    user = {"user": "a", "site": "s", "age": 20, "past": ["p", "q"]}
    assert shared(user, [{"item": "p"}, {"item": "q"}]) == everything - {"item", "user_x_item", "item_x_tags"}
    assert shared(user, [{"count": 1}, {}]) == everything - {"count"}
    found = shared({"w": [2.0]}, [{"tags": ["u"]}, {"tags": ["v"]}])
    assert found == everything - {"tags", "item_x_tags"}


def test_slots_that_say_the_same_in_each_row_are_the_same_too() -> None:
    """Where nothing is the user's: as in rows of one user that are sent whole."""
    rows = pa.RecordBatch.from_pylist([{"user": "a", "item": item, "tags": ["u", "v"]} for item in ("p", "q", "p")])
    found = Encoder(PIPELINE).request(RowReader(kinds_of(PIPELINE)).read(rows))
    differ = {field.name for field, at in PIPELINE.inputs.slots() if not found.shared[at].all()}
    assert differ == {"item", "user_x_item", "item_x_tags"}
    weights = rows.append_column("w", pa.array([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]]))
    found = Encoder(PIPELINE).request(RowReader(kinds_of(PIPELINE)).read(weights))
    differ |= {field.name for field, at in PIPELINE.inputs.slots() if not found.shared[at].all()}
    assert differ == {"item", "user_x_item", "item_x_tags", "tags"}


def test_a_bad_cell_of_the_user_has_no_candidate() -> None:
    with pytest.raises(RequestError, match=r"^column 'age', value 'old': is not a number"):
        online({"age": "old"}, [{"item": "p"}])


def test_pairings_that_are_kept_are_bounded() -> None:
    encoder, reader = Encoder(PIPELINE), SlowReader(kinds_of(PIPELINE))
    names = ["user", "count", "ratio", "flag", "site", "price", "item"]
    for mask in range(1, 128):
        row = {name: None for bit, name in enumerate(names) if mask >> bit & 1}
        encoder.request(reader.read(json.dumps({"candidates": [row]}).encode(), 1))
    assert len(encoder._cuts) == 64
