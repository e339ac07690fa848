from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from clickwise.data.labels import read_group, read_label, read_targets, read_truth, read_weight
from clickwise.features.transform import BadCells
from clickwise.schema import Schema

PLAIN = Schema(label="click")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 1, 1], pa.int8()),
        pa.array([0.0, 1.0, 1.0]),
        pa.array([False, True, True]),
        pa.array(["0", "1", " 1 "]),
        pa.array(["0.0", "1.0", "1"]),
        pa.array(["FALSE", "true", "True"]),
        pa.array(["0", "1", "1"]).dictionary_encode(),
    ],
    ids=lambda c: str(c.type),
)
def test_plain_labels_of_any_type(column):
    found = read_label(column, PLAIN)
    assert found.dtype == np.float32
    assert found.tolist() == [0, 1, 1]


def test_anything_else_is_a_bad_cell_that_says_what_to_do():
    with pytest.raises(BadCells) as caught:
        read_label(pa.array(["0", "yes", "2", "1"]), PLAIN)
    assert [(c.position, c.column, c.value) for c in caught.value.cells] == [(1, "click", "yes"), (2, "click", "2")]
    assert "is not 0 or 1" in caught.value.cells[0].problem
    assert "schema.positive" in caught.value.cells[0].problem


@pytest.mark.parametrize("schema", [PLAIN, Schema(label="click", positive=("1",)), Schema(label="click", threshold=1)])
def test_a_missing_label_is_a_bad_cell_under_every_rule(schema):
    with pytest.raises(BadCells) as caught:
        read_label(pa.array([None, 1.0, float("nan")]), schema)
    assert [c.position for c in caught.value.cells] == [0, 2]
    assert "missing" in caught.value.cells[0].problem


def test_positive_values_match_text_and_number():
    schema = Schema(label="click", positive=(">50K", "4"))
    assert read_label(pa.array([">50K", "<=50K", " >50K", "4.0"]), schema).tolist() == [1, 0, 1, 1]
    assert read_label(pa.array([4, 5, 3]), schema).tolist() == [1, 0, 0]
    assert read_label(pa.array([4.0, 4.5]), schema).tolist() == [1, 0]


def test_threshold_counts_the_boundary_as_positive():
    schema = Schema(label="click", threshold=4)
    assert read_label(pa.array([3.9, 4.0, 5.0]), schema).tolist() == [0, 1, 1]
    assert read_label(pa.array(["3", "4"]), schema).tolist() == [0, 1]
    with pytest.raises(BadCells, match="1 cells"):
        read_label(pa.array(["good", "4"]), schema)


def test_weights():
    schema = Schema(label="click", weight="w")
    assert read_weight(pa.array(["0", "2.5"]), schema).tolist() == [0, 2.5]
    for bad in (-1.0, float("inf"), float("nan"), None):
        with pytest.raises(BadCells) as caught:
            read_weight(pa.array([1.0, bad]), schema)
        assert [(c.position, c.column) for c in caught.value.cells] == [(1, "w")]
    with pytest.raises(BadCells) as caught:
        read_weight(pa.array(["1", "x"]), schema)
    assert caught.value.cells[0].column == "w"


def test_groups_agree_across_types_and_missing_is_zero():
    numbers, text = read_group(pa.array([7, None, 8, 7])), read_group(pa.array(["7", "", "8", "7"]))
    assert numbers.dtype == np.uint64
    assert numbers.tolist() == text.tolist()
    assert numbers[1] == 0
    assert numbers[0] == numbers[3] != numbers[2]


def test_targets_report_bad_labels_and_weights_together():
    data = pa.RecordBatch.from_pydict({"click": ["0", "x", "1"], "w": [1.0, 1.0, -1.0]})
    with pytest.raises(BadCells) as caught:
        read_targets(data, Schema(label="click", weight="w"))
    assert [(c.position, c.column) for c in caught.value.cells] == [(1, "click"), (2, "w")]


def test_targets_without_weight_and_group():
    targets = read_targets(pa.RecordBatch.from_pydict({"click": [1, 0]}), PLAIN)
    assert targets.weight.tolist() == [1, 1]
    assert targets.group.tolist() == [0, 0]


def test_truth_is_strictly_between_0_and_1():
    assert read_truth(pa.array(["0.25", "0.5"]), "p").tolist() == [0.25, 0.5]
    with pytest.raises(BadCells) as caught:
        read_truth(pa.array([0.0, 0.5, 1.0, None]), "p")
    assert [c.position for c in caught.value.cells] == [0, 2, 3]
