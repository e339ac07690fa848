from __future__ import annotations

import pytest

from clickwise.errors import ConfigError
from clickwise.schema import PADDING_ROW, Feature, Field, InputSpec, Schema


def test_fields_are_packed_into_one_table_after_the_padding_row() -> None:
    inputs = InputSpec(
        fields=(
            Field(name="user", num_ids=10),
            Field(name="tags", num_ids=5, length=3),
            Field(name="bag", num_ids=4, length=2, pooling="none"),
        ),
        dense=("price",),
    )
    assert inputs.offsets() == [1, 11, 16]
    assert inputs.offsets()[0] > PADDING_ROW
    assert (inputs.num_rows, inputs.num_slots, inputs.num_vectors, inputs.num_dense) == (20, 6, 4, 1)
    assert [s for _, s in inputs.slots()] == [slice(0, 1), slice(1, 4), slice(4, 6)]


def test_a_model_needs_an_input() -> None:
    with pytest.raises(ConfigError, match="at least one feature"):
        InputSpec()
    with pytest.raises(ConfigError, match=r"fewer than 2\^31"):
        InputSpec(fields=(Field(name="x", num_ids=2**31),))


def test_the_answer_cannot_be_a_feature() -> None:
    with pytest.raises(ConfigError, match="which is the answer"):
        Schema(label="click", features=(Feature(name="f", column="click", config=None),))
    with pytest.raises(ConfigError, match="each feature name once"):
        Schema(label="y", features=(Feature(name="f", column="a", config=None),) * 2)


def test_columns_are_those_that_scoring_needs() -> None:
    schema = Schema(
        label="y",
        time="t",
        features=(Feature(name="hour", column="t", config=None), Feature(name="f", column="a", config=None)),
    )
    assert schema.columns() == ("t", "a")


def test_crosses_come_last_and_give_no_vectors() -> None:
    a, b = Field(name="a", num_ids=10), Field(name="b", num_ids=5, length=3, pooling="none")
    cross = Field(name="a_x_b", num_ids=7, length=3, pooling="sum", cross=True)
    inputs = InputSpec(fields=(a, b, cross), dense=("x",))
    assert (inputs.num_rows, inputs.num_slots, inputs.num_vectors) == (23, 7, 4)
    assert inputs.base == InputSpec(fields=(a, b), dense=("x",))
    with pytest.raises(ConfigError, match=r"fields: got \['a', 'a_x_b', 'b'\], allowed is crosses after all other"):
        InputSpec(fields=(a, cross, b))


def test_fields_that_share_rows_are_in_one_group_with_the_field_that_has_them() -> None:
    a, item = Field(name="a", num_ids=10), Field(name="item", num_ids=7)
    seen = Field(name="seen", num_ids=7, length=3, shares="item")
    last = Field(name="last", num_ids=7, length=2, pooling="none", shares="item")
    tags, cross = Field(name="tags", num_ids=4, length=2), Field(name="x", num_ids=9, cross=True)
    inputs = InputSpec(fields=(a, item, seen, last, tags, cross))
    assert inputs.offsets() == [1, 11, 11, 11, 18, 22]
    assert inputs.slot_starts() == (0, 1, 7, 9, 10)
    assert inputs.base.slot_starts() == inputs.slot_starts()[:-1]
    assert (inputs.num_rows, inputs.num_slots, inputs.num_vectors) == (31, 10, 6)
    places = {name: (where.start, where.stop) for name, where in inputs.base.vectors().items()}
    assert places == {"a": (0, 1), "item": (1, 2), "seen": (2, 3), "last": (3, 5), "tags": (5, 6)}


@pytest.mark.parametrize(
    "fields",
    [
        (Field(name="seen", num_ids=7, shares="item"), Field(name="item", num_ids=7)),
        (Field(name="item", num_ids=7), Field(name="a", num_ids=7), Field(name="seen", num_ids=7, shares="item")),
        (Field(name="item", num_ids=7), Field(name="seen", num_ids=8, shares="item")),
        (Field(name="item", num_ids=7, cross=True), Field(name="seen", num_ids=7, cross=True, shares="item")),
        (Field(name="item", num_ids=7), Field(name="seen", num_ids=7, cross=True, shares="item")),
        (Field(name="seen", num_ids=7, shares="seen"),),
    ],
    ids=["before", "not beside", "other ids", "of a cross", "a cross", "of itself"],
)
def test_a_field_that_shares_rows_stands_behind_the_field_that_has_them(fields: tuple[Field, ...]) -> None:
    with pytest.raises(ConfigError, match=r"fields\.seen\.shares: got .* directly behind it, with the same ids"):
        InputSpec(fields=fields)
