from __future__ import annotations

import pytest

from clickwise.config import build
from clickwise.data.config import DataConfig
from clickwise.errors import ConfigError


def test_defaults_are_valid_and_can_be_built_from_plain_data():
    assert build(DataConfig, {}) == DataConfig()
    assert build(DataConfig, {"names": ["a", "b"], "delimiter": ";"}).names == ("a", "b")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("delimiter", "::"),
        ("delimiter", '"'),
        ("delimiter", "§"),
        ("batch_rows", 0),
        ("max_bad_fraction", 1.5),
        ("max_bad_fraction", -0.1),
        ("valid_fraction", 1.0),
        ("valid_fraction", -0.1),
        ("test_fraction", 0.95),
        ("split_seed", -1),
        ("sample_rows", 0),
        ("names", ("a", "a")),
        ("names", ("",)),
    ],
)
def test_a_value_out_of_range_names_its_key(key, value):
    with pytest.raises(ConfigError, match=f"data.{key}: got .*, allowed is"):
        build(DataConfig, {key: value}, "data")


def test_an_unknown_format_says_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'parquet'"):
        build(DataConfig, {"format": "parkuet"}, "data")
