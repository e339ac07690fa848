"""A schema as a TOML file.

label = "click"
time = "hour"

[features.ad]
transform = "vocabulary"
column = "ad_id"
min_count = 5
"""

from __future__ import annotations

from pathlib import Path

import tomli_w

from clickwise.config import read_toml
from clickwise.features.schema_data import schema_from_data, schema_to_data
from clickwise.schema import Schema

_COMMENTS = {
    "label": "the column that says click (1) or no click (0)",
    "weight": "the column of sample weights, 0 or more",
    "time": "the column of time stamps; the last rows by it validate",
    "time_format": "how the time is written, for strptime",
    "group": "the column that groups rows for gauc, such as the user",
    "item": "the column that identifies what was shown, such as the ad",
    "item_features": "the features that describe the item; the others describe the query",
    "truth": "the true click probability, known for simulated data; never a feature",
    "positive": "labels that count as 1; every other one is 0",
    "threshold": "labels from here on count as 1",
}


def schema_from_toml(path: str | Path) -> Schema:
    """The schema in a file.

    Raises:
        ConfigError: no such file, not TOML, or a mistake in it: names the key, what was got, what is allowed and the
            nearest valid name.
    """
    return schema_from_data(read_toml(path), "")


def schema_to_toml(schema: Schema) -> str:
    """The text of a file that `schema_from_toml` reads, with a comment on each role.

    >>> print(schema_to_toml(Schema(label="click")), end="")
    # the column that says click (1) or no click (0)
    label = "click"
    """
    data = schema_to_data(schema)
    features = data.pop("features", None)
    text = "".join(f"# {_COMMENTS[key]}\n{tomli_w.dumps({key: value})}" for key, value in data.items())
    if features:
        text += "\n# the model's inputs, one table each, in order\n" + tomli_w.dumps({"features": features})
    return text
