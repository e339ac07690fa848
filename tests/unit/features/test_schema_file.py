from __future__ import annotations

import pytest

from clickwise.errors import ConfigError
from clickwise.features.schema_data import schema_from_data
from clickwise.features.schema_file import schema_from_toml, schema_to_toml

GOOD = """
label = "click"
time = "ts"
threshold = 1.0

[features.ad]
transform = "vocabulary"
column = "ad_id"
min_count = 5

[features."user age"]
transform = "bucket"
boundaries = [18, 30.5]
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        (tmp_path / "s.toml").write_text(text)
        return schema_from_toml(tmp_path / "s.toml")

    return read_text


def test_reads_and_writes_the_same(read):
    schema = read(GOOD)
    assert [(f.name, f.column) for f in schema.features] == [("ad", "ad_id"), ("user age", "user age")]
    assert schema.features[0].config.min_count == 5
    assert schema.features[1].config.boundaries == (18.0, 30.5)
    text = schema_to_toml(schema)
    assert read(text) == schema
    assert schema_to_toml(read(text)) == text


def test_every_role_is_written_with_a_comment(read):
    schema = schema_from_data(
        {"label": "y", "weight": "w", "time": "t", "group": "g", "truth": "p", "positive": ['a"b', "c"]}
    )
    text = schema_to_toml(schema)
    assert read(text) == schema
    assert text.count("# ") == 6
    assert "# the column that groups rows for gauc, such as the user\ngroup = " in text


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ('lable = "click"', 'label = "click"', ["lable", "unknown key", "did you mean 'label'", "threshold"]),
        ("label = 3", 'label = "click"', ["label: got 3, allowed is text"]),
        ("", 'label = "click"', ["label: is required and is missing"]),
        ('tiem = "ts"', 'time = "ts"', ["tiem", "did you mean 'time'"]),
        ('threshold = "4"', "threshold = 1.0", ["threshold: got '4', allowed is a number"]),
        ('threshold = 1.0\npositive = "1"', "threshold = 1.0", ["positive: got '1', allowed is a list"]),
        ('threshold = 1.0\npositive = ["1"]', "threshold = 1.0", ["positive: is given together with threshold"]),
        ("[feature.ad]", "[features.ad]", ["feature", "did you mean 'features'"]),
        (
            'transform = "vocabluary"',
            'transform = "vocabulary"',
            ["features.ad.transform", "did you mean 'vocabulary'"],
        ),
        ("", 'transform = "vocabulary"', ["features.ad.transform: is required and is missing"]),
        ("min_cuont = 5", "min_count = 5", ["features.ad.min_cuont", "did you mean 'min_count'", "separator"]),
        ('min_count = "five"', "min_count = 5", ["features.ad.min_count: got 'five', allowed is a whole number"]),
        ("min_count = 0", "min_count = 5", ["features.ad.min_count: got 0, allowed is a whole number from 1"]),
        (
            "boundaries = [3, 1]",
            "boundaries = [18, 30.5]",
            ["features.user age.boundaries: got (3.0, 1.0), allowed is"],
        ),
        ("column = 7", 'column = "ad_id"', ["features.ad.column: got 7, allowed is text"]),
        ('column = "click"', 'column = "ad_id"', ["features.ad.column: reads 'click', which is the answer"]),
        ("label == 'x'", 'label = "click"', ["is not valid TOML", "line 2"]),
    ],
)
def test_every_mistake_names_key_value_and_what_is_allowed(read, wrong, right, said):
    assert right in GOOD
    with pytest.raises(ConfigError) as caught:
        read(GOOD.replace(right, wrong))
    message = str(caught.value)
    assert "\n" not in message
    for part in said:
        assert part in message


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: no such file"):
        schema_from_toml(tmp_path / "none.toml")
