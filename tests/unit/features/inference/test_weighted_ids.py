from __future__ import annotations

import pyarrow as pa
import pytest

from clickwise.errors import ConfigError
from clickwise.features.inference.infer import infer_schema
from clickwise.features.inference.weighted_ids import weighted_ids

IDS = [["1", "5"], ["2"], ["1", "9"]] * 20
VALUES = [[1.0, 0.5], [1.0], [1.0, 2.0]] * 20
ONES = [[1.0, 1.0], [1.0], [1.0, 1.0]] * 20


def test_a_bag_keeps_a_vector_for_each_id_and_its_value() -> None:
    found = weighted_ids(pa.table({"features": IDS, "values": VALUES}), 1)
    assert found == {
        "features": {
            "transform": "vocabulary", "column": "features", "min_count": 1, "pooling": "none", "weights": "values",
        }
    }  # fmt: skip


def test_a_long_bag_is_summed() -> None:
    long = [[str(i) for i in range(65)]] * 2
    assert weighted_ids(pa.table({"features": long, "values": [[1.0] * 65] * 2}), 1)["features"]["pooling"] == "sum"


def test_fields_are_summed_and_values_of_one_are_no_weights() -> None:
    found = weighted_ids(pa.table({"f0": IDS, "f0_values": ONES, "f1": IDS, "f1_values": VALUES}), 2)
    assert "weights" not in found["f0"]
    assert found["f1"] == {
        "transform": "vocabulary", "column": "f1", "min_count": 2, "pooling": "sum", "weights": "f1_values",
    }  # fmt: skip


def test_other_columns_are_left_alone() -> None:
    assert weighted_ids(pa.table({"features": IDS, "other": VALUES, "x": ["a"] * 60, "x_values": VALUES}), 1) == {}


@pytest.mark.parametrize(("labels", "positive"), [(["1", "-1"], ("1",)), (["1", "0"], ())])
def test_signed_labels_of_libsvm_are_understood(labels: list[str], positive: tuple[str, ...]) -> None:
    table = pa.table({"label": (labels * 30), "features": IDS, "values": VALUES})
    inferred = infer_schema(table)
    assert inferred.schema.positive == positive
    assert [f.name for f in inferred.schema.features] == ["features"]
    assert inferred.schema.features[0].config.weights == "values"


def test_a_label_of_lists_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="column 'label' holds lists"):
        infer_schema(pa.table({"label": IDS, "x": list(range(60))}), label="label")
