"""Sequences, against plain Python over the histories themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.errors import BundleError, ConfigError, DataError
from clickwise.features import Bucket, Cross, FeaturePipeline, Hashing, Sequence, Vocabulary
from clickwise.features.schema_data import schema_from_data, schema_to_data
from clickwise.features.transform import BadCells
from clickwise.schema import PADDING_ROW, Feature, Schema

ITEMS = ["a", "b", "b", "c", "c", "c", None]
HISTORIES = ["a b c", "", None, " c  zz a b ", "b", "zz", "a a"]


def item(**settings: Any) -> Feature:
    return Feature(name="item", column="item", config=Vocabulary.Config(**settings))


def history(name: str = "seen", **settings: Any) -> Feature:
    return Feature(name=name, column="seen", config=Sequence.Config(**{"shares": "item", "separator": " ", **settings}))


def fitted(schema: Schema, data: pa.RecordBatch) -> FeaturePipeline:
    fit: Any = FeaturePipeline.fitting(schema, {f.name: f.type for f in data.schema})
    fit.update(data)
    pipeline = fit.finish()
    if schema.crosses:
        fit = pipeline.crossing(schema)
        fit.update(data)
        pipeline = fit.finish()
    return pipeline


def data_of(items: list[str | None] = ITEMS, histories: list[Any] = HISTORIES) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"item": pa.array(items, pa.string()), "seen": pa.array(histories)})


def rows_of(pipeline: FeaturePipeline, data: pa.RecordBatch, name: str) -> list[list[int]]:
    slots = next(slots for field, slots in pipeline.inputs.slots() if field.name == name)
    return pipeline.encode(data).sparse[:, slots].tolist()


def test_an_item_has_one_row_as_target_and_in_a_history() -> None:
    pipeline = fitted(Schema(label="y", features=(item(), history(max_length=4))), data_of())
    missing, unknown, c, b, a = range(1, 6)  # the most frequent first
    assert pipeline.inputs.num_rows == 6
    assert rows_of(pipeline, data_of(), "item") == [[a], [b], [b], [c], [c], [c], [missing]]
    none = PADDING_ROW
    assert rows_of(pipeline, data_of(), "seen") == [
        [a, b, c, none],
        [none] * 4,
        [none] * 4,
        [c, unknown, a, b],
        [b, none, none, none],
        [unknown, none, none, none],
        [a, a, none, none],
    ]


def test_the_last_entries_of_a_long_history_are_kept() -> None:
    pipeline = fitted(Schema(label="y", features=(item(), history(max_length=2))), data_of())
    _, unknown, c, b, a = range(1, 6)
    assert rows_of(pipeline, data_of(), "seen")[0] == [b, c]
    assert rows_of(pipeline, data_of(), "seen")[3] == [a, b]
    new = data_of([None], ["c c c c zz c"])
    assert rows_of(pipeline, new, "seen") == [[unknown, c]]


def test_the_field_is_as_long_as_the_longest_history_of_the_training_rows() -> None:
    pipeline = fitted(Schema(label="y", features=(item(), history(max_length=50))), data_of())
    assert [(f.name, f.length, f.shares) for f in pipeline.inputs.fields] == [("item", 1, ""), ("seen", 4, "item")]
    assert len(rows_of(pipeline, data_of([None], ["a b c a b c"]), "seen")[0]) == 4
    fit: Any = FeaturePipeline.fitting(pipeline.schema, {"item": pa.string(), "seen": pa.string()})
    for chunk in ("a b", "a b c", "a"):
        fit.update(data_of(["a"], [chunk]))
    assert [f.length for f in fit.finish().inputs.fields] == [1, 3]


def test_sequences_of_one_column_may_be_cut_and_pooled_in_their_own_ways() -> None:
    features = (item(), history("words"), history("parts", separator="|", pooling="sum"))
    pipeline = fitted(Schema(label="y", features=features), data_of(["a", "b"], ["a b", "a|b"]))
    _, unknown, a, b = range(1, 5)
    assert pipeline.encode(data_of(["a", "b"], ["a b", "a|b"])).sparse[:, 1:].tolist() == [
        [a, b, unknown, PADDING_ROW],
        [unknown, PADDING_ROW, a, b],
    ]
    assert [f.pooling for f in pipeline.inputs.fields] == ["mean", "mean", "sum"]


@settings(max_examples=60, deadline=None)
@given(
    lists=st.lists(st.none() | st.lists(st.none() | st.sampled_from("abcdefgh"), max_size=9), min_size=1, max_size=12),
    longest=st.integers(1, 6),
    hashed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_history_equals_its_entries_one_by_one(lists: list, longest: int, hashed: bool, seed: int) -> None:
    """What the owner gives each entry alone, of the last ones; the same from lists and from text."""
    config: Any = Hashing.Config(num_buckets=5, seed=seed) if hashed else Vocabulary.Config(max_size=4)
    owner = Feature(name="item", column="item", config=config)
    items = pa.array(list("aabbbccddefx"), pa.string())
    column = pa.array(lists, pa.list_(pa.string()))
    text = pa.array([None if v is None else "|".join(e or "" for e in v) for v in lists], pa.string())
    found = []
    for values, separator in ((column, None), (text, "|")):
        schema = Schema(label="y", features=(history(max_length=longest, separator=separator), owner))
        padded = pa.concat_arrays([values, pa.nulls(len(items) - len(values), values.type)])
        pipeline = fitted(schema, pa.RecordBatch.from_pydict({"item": items, "seen": padded}))
        data = pa.RecordBatch.from_pydict({"item": items[: len(values)], "seen": values})
        found.append(rows_of(pipeline, data, "seen"))
    length = len(found[0][0])
    wanted = []
    for entries in lists:
        last = pa.array([e for e in entries or [] if e][-length:], pa.string())
        alone = pa.RecordBatch.from_pydict({"item": last, "seen": pa.nulls(len(last), pa.string())})
        ids = [row for (row,) in rows_of(pipeline, alone, "item")]
        wanted.append(ids + [PADDING_ROW] * (length - len(ids)))
    assert found[0] == found[1] == wanted


def test_numbers_and_text_are_the_same_items() -> None:
    lists = pa.RecordBatch.from_pydict({"item": pa.array([3, 5]), "seen": pa.array([[5, 3], [3]])})
    text = pa.RecordBatch.from_pydict({"item": pa.array(["3", "5"]), "seen": pa.array(["5 3", "3"])})
    pipeline = fitted(Schema(label="y", features=(item(), history())), lists)
    np.testing.assert_array_equal(pipeline.encode(lists).sparse, pipeline.encode(text).sparse)
    assert pipeline.encode(lists).sparse.tolist() == [[3, 4, 3], [4, 3, 0]]


def test_fields_come_behind_the_field_they_share_and_before_crosses() -> None:
    features = (
        history("seen"),
        Feature(name="pair", config=Cross.Config(of=("item", "seen"), min_count=1)),
        Feature(name="price", column="item", config=Hashing.Config(num_buckets=9)),
        item(),
        history("last", max_length=1),
    )
    pipeline = fitted(Schema(label="y", features=features), data_of())
    inputs = pipeline.inputs
    assert [f.name for f in inputs.fields] == ["price", "item", "seen", "last", "pair"]
    assert inputs.offsets() == [1, 12, 12, 12, 17]
    assert inputs.slot_starts() == (0, 1, 7, 11)
    encoded = pipeline.encode(data_of())
    assert encoded.sparse[0, 7:].tolist() != [0] * 4
    assert encoded.sparse[1, 7:].tolist() == [17, 0, 0, 0]  # a cross with an empty history is missing
    assert encoded.sparse[0, 1:7].tolist() == [16, 16, 15, 14, 0, 14]


def test_a_sequence_beside_a_weighted_field_counts_each_entry_once() -> None:
    tags = Feature(name="tags", column="tags", config=Vocabulary.Config(weights="w"))
    data = pa.RecordBatch.from_pydict(
        {
            "tags": pa.array([["a", "b"], ["b"]]),
            "w": pa.array([[0.5, 2.0], [3.0]]),
            "seen": pa.array([["b", "a", "a"], []], pa.list_(pa.string())),
        }
    )
    schema = Schema(label="y", features=(tags, history(shares="tags", separator=None)))
    encoded = fitted(schema, data).encode(data)
    assert encoded.sparse.tolist() == [[4, 3, 3, 4, 4], [3, 0, 0, 0, 0]]
    assert encoded.slot_weight.tolist() == [[0.5, 2, 1, 1, 1], [3, 0, 0, 0, 0]]


def test_entries_that_cannot_be_read_are_named() -> None:
    pipeline = fitted(Schema(label="y", features=(item(), history())), data_of())
    with pytest.raises(BadCells) as caught:
        pipeline.encode(data_of([None, None], ["a", "b " + "x" * 5000]))
    assert [(c.position, c.column) for c in caught.value.cells] == [(1, "seen")]
    with pytest.raises(DataError, match="no such column"):
        pipeline.encode(data_of().select(["item"]))


@pytest.mark.parametrize("shares", ["itme", "seen", "last", "pair"])
def test_what_is_shared_must_be_another_feature_with_ids_of_its_own(shares: str) -> None:
    others = (item(), history("last"), Feature(name="pair", config=Cross.Config(of=("item", "last"))))
    wanted = rf"features\.seen\.shares: got '{shares}', allowed is the name of another feature that is no cross and no"
    with pytest.raises(ConfigError, match=wanted):
        Schema(label="y", features=(*others, history(shares=shares)))


def test_what_is_shared_must_have_tokens() -> None:
    price = Feature(name="price", column="price", config=Bucket.Config())
    schema = Schema(label="y", features=(price, item(), history(shares="price")))
    with pytest.raises(
        ConfigError, match=r"features\.seen\.shares: got 'price', allowed is .*vocabulary or hashing: item"
    ):
        FeaturePipeline.fitting(schema, {"price": pa.float64(), "item": pa.string(), "seen": pa.string()})


@pytest.mark.parametrize(
    "wrong", [{"shares": ""}, {"max_length": 0}, {"separator": ""}, {"pooling": "none"}], ids=lambda w: next(iter(w))
)
def test_config_errors_name_the_key(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))}: got"):
        Sequence.Config(**{"shares": "item", **wrong})


def test_schema_round_trip_as_data() -> None:
    schema = Schema(label="y", features=(history(max_length=7), item()))
    data = schema_to_data(schema)
    assert data["features"]["seen"] == {
        "transform": "sequence",
        "column": "seen",
        "shares": "item",
        "max_length": 7,
        "separator": " ",
        "pooling": "mean",
    }
    assert schema_from_data(data) == schema


def test_a_stored_sequence_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    schema = Schema(label="y", features=(item(), history(max_length=4)))
    fitted(schema, data_of()).save(tmp_path)
    path = tmp_path / "pipeline.json"
    for change in ({"length": 5}, {"length": 0}):
        stored = json.loads(path.read_text())
        stored["states"]["seen"]["values"] |= change
        (tmp_path / "other").mkdir(exist_ok=True)
        for file in tmp_path.glob("*.arrow"):
            (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
        (tmp_path / "other" / "pipeline.json").write_text(json.dumps(stored))
        with pytest.raises(BundleError, match="length"):
            FeaturePipeline.load(tmp_path / "other")
    stored = json.loads(path.read_text())
    stored["schema"]["features"]["item"] = {"transform": "datetime", "column": "item", "part": "hour"}
    stored["states"]["item"] = {"values": {}}
    (tmp_path / "other" / "pipeline.json").write_text(json.dumps(stored))
    with pytest.raises(BundleError, match="'seen' shares 'item', which has no tokens"):
        FeaturePipeline.load(tmp_path / "other")
