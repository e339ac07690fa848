from __future__ import annotations

import json
from typing import Any

import pytest

from clickwise.errors import ConfigError
from clickwise.features import Bucket, Quantile, Vocabulary
from clickwise.features.schema_data import schema_from_data, schema_to_data
from clickwise.schema import Feature, Schema

SCHEMA = Schema(
    label="click",
    time="hour",
    positive=("yes", "1"),
    features=(
        Feature(name="ad", column="ad_id", config=Vocabulary.Config(min_count=5)),
        Feature(name="age", column="age", config=Bucket.Config(boundaries=(18.0, 65.0))),
        Feature(name="age_cdf", column="age", config=Quantile.Config()),
    ),
)


def test_layout() -> None:
    data = schema_to_data(SCHEMA)
    assert list(data) == ["label", "time", "positive", "features"]
    assert data["features"]["ad"] == {"transform": "vocabulary", "column": "ad_id", "min_count": 5, "pooling": "mean"}
    assert data["features"]["age_cdf"] == {
        "transform": "quantile",
        "column": "age",
        "num_quantiles": 100,
        "missing": 0.0,
    }
    assert schema_to_data(Schema(label="y")) == {"label": "y"}


def test_round_trip_through_json() -> None:
    assert schema_from_data(json.loads(json.dumps(schema_to_data(SCHEMA)))) == SCHEMA
    assert schema_from_data({"label": "y"}) == Schema(label="y")


def test_column_is_the_name_when_left_out() -> None:
    schema = schema_from_data({"label": "y", "features": {"ad": {"transform": "vocabulary"}}})
    assert schema.features == (Feature(name="ad", column="ad", config=Vocabulary.Config()),)


def _with(**feature: Any) -> dict[str, Any]:
    return {"label": "y", "features": {"ad": {"transform": "vocabulary", **feature}}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "schema.label: is required and is missing"),
        ({"label": 3}, "schema.label: got 3, allowed is text"),
        ({"lable": "y"}, "schema.lable: unknown key (did you mean 'label'?); allowed are label, weight"),
        ([], "schema: got [], allowed is a table"),
        ({"label": "y", "positive": ["1"], "threshold": 3}, "schema.positive: is given together with threshold"),
        ({"label": "y", "features": ["ad"]}, "schema.features: got ['ad'], allowed is a table"),
        ({"label": "y", "features": {"ad": "hash"}}, "schema.features.ad: got 'hash', allowed is a table"),
        (
            {"label": "y", "features": {"ad": {}}},
            "schema.features.ad.transform: is required and is missing; allowed are bucket,",
        ),
        (
            _with(transform="vocabluary"),
            "schema.features.ad.transform: unknown transform 'vocabluary' (did you mean 'vocab",
        ),
        (_with(transform=3), "schema.features.ad.transform: got 3, allowed is text"),
        (_with(column=3), "schema.features.ad.column: got 3, allowed is text"),
        (
            _with(mincount=3),
            "schema.features.ad.mincount: unknown key (did you mean 'min_count'?); allowed are min_count",
        ),
        (_with(min_count=0), "schema.features.ad.min_count: got 0, allowed is a whole number from 1 on"),
        (_with(pooling="max"), "schema.features.ad.pooling: got 'max', allowed are 'mean', 'sum', 'none'"),
        (_with(column="y"), "schema.features.ad.column: reads 'y', which is the answer"),
    ],
)
def test_every_mistake_names_the_key_and_what_is_allowed(data: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        schema_from_data(data)
    assert str(caught.value).startswith(message)


def test_without_a_path_keys_stand_alone() -> None:
    with pytest.raises(ConfigError, match=r"^features\.ad\.min_count: got 0"):
        schema_from_data(_with(min_count=0), path="")
    with pytest.raises(ConfigError, match=r"^lable: unknown key"):
        schema_from_data({"lable": "y"}, path="")
