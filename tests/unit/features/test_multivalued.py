from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import DataError
from clickwise.features import Hashing
from clickwise.features.multivalued import (
    DEFAULT_MAX_LENGTH,
    Slots,
    SlotsFit,
    parse_values,
    place,
    slot_weights,
    weights_mismatch,
)
from clickwise.schema import Field

PLAIN = Hashing.Config(num_buckets=9)
WEIGHTED = Hashing.Config(num_buckets=9, weights="w", pooling="sum")


def _lookup(tokens: pa.Array) -> np.ndarray:
    return np.array([int(t) for t in tokens.to_pylist()], np.int32)


def test_place_lays_lists_into_rows_and_cuts_long_ones() -> None:
    out = place(np.arange(6), np.array([1, 0, 3, 2]), np.full((4, 2), -1))
    assert out.tolist() == [[0, -1], [-1, -1], [1, 2], [4, 5]]


def test_missing_values_inside_a_list_are_left_out_but_not_beside_weights() -> None:
    column = pa.array([["5", None, "6"], [None], []])
    slots = Slots(True, 3)
    assert slots.ids(parse_values(PLAIN, column), _lookup).tolist() == [[5, 6, -1], [0, -1, -1], [0, -1, -1]]
    assert slots.ids(parse_values(WEIGHTED, column), _lookup).tolist() == [[5, 0, 6], [0, -1, -1], [0, -1, -1]]


def test_lists_where_single_values_were_fitted_are_refused() -> None:
    with pytest.raises(DataError, match="holds lists"):
        Slots(False, 1).ids(parse_values(PLAIN, pa.array([["5"]])), _lookup)


def test_length_is_the_longest_list_up_to_the_cap() -> None:
    fit = SlotsFit(PLAIN)
    for longest in (3, 5, 2):
        fit.update(parse_values(PLAIN, pa.array([["1"] * longest, []])))
    assert fit.finish() == Slots(True, 5)
    fit.update(parse_values(PLAIN, pa.array([["1"] * 1000])))
    assert fit.finish() == Slots(True, DEFAULT_MAX_LENGTH)
    single = SlotsFit(PLAIN)
    single.update(parse_values(PLAIN, pa.array(["1"])))
    assert single.finish() == Slots(False, 1)


def test_field_says_how_the_slots_are_pooled() -> None:
    wanted = Field(name="f", num_ids=7, length=3, pooling="sum", weighted=True)
    assert Slots(True, 3).field("f", 7, WEIGHTED) == wanted


def test_slot_weights() -> None:
    parsed = parse_values(WEIGHTED, pa.array([["5", "6"], ["7"], [], ["5", "6", "7"], ["5"]]))
    weights = pa.array([[0.5, None], None, None, [1.0, 2.0, 3.0], [4.0]])
    assert weights_mismatch(parsed, weights).tolist() == []
    assert slot_weights(parsed, weights, 2).tolist() == [[0.5, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 2.0], [4.0, 0.0]]
    beyond = pa.array([[1e43, -1e300]], pa.list_(pa.float64()))
    np.testing.assert_allclose(slot_weights(pa.array([["a", "b"]]), beyond, 2), [[3e38, -3e38]])
    assert weights_mismatch(parsed, pa.array([[1.0], [1.0], [1.0], [1.0], []], pa.list_(pa.float64()))).tolist() == [
        0,
        2,
        3,
    ]
