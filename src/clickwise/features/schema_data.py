"""A `Schema` as plain data, for TOML and JSON, and back.

    {"label": "click", "features": {"ad": {"transform": "vocabulary", "column": "ad_id", "min_count": 5}}}

Of a feature, `transform` names a registered transform, `column` is the feature's own name when left out, and every
other key belongs to the transform's config. A cross has no column:

    {"transform": "cross", "of": ["user", "site"]}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clickwise.config import build, convert, to_data
from clickwise.errors import ConfigError, clipped
from clickwise.features.transform import ColumnTransform
from clickwise.registry import transforms
from clickwise.schema import Feature, Schema, replace


def schema_to_data(schema: Schema) -> dict[str, Any]:
    """Plain data of a schema; keys that are None or empty are left out."""
    data = {key: value for key, value in to_data(replace(schema, features=())).items() if value not in ([], None)}
    features = {f.name: _feature_to_data(f) for f in schema.features}
    return {**data, "features": features} if features else data


def schema_from_data(data: Mapping[str, Any], path: str = "schema") -> Schema:
    """The schema that plain data describes.

    Args:
        path: what to call the data in messages: its dotted path in the whole config.

    Raises:
        ConfigError: an unknown key or transform (with the nearest), a missing key, a wrong type or value.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(path, f"got {clipped(data)}, allowed is a table")
    schema = build(Schema, {key: value for key, value in data.items() if key != "features"}, path)
    tables = convert(dict[str, Any], data.get("features", {}), _under(path, "features"))
    features = tuple(_feature_from_data(name, table, _under(path, "features", name)) for name, table in tables.items())
    try:
        return replace(schema, features=features)
    except ConfigError as error:
        raise (error.under(path) if path else error) from None


def _under(path: str, *keys: str) -> str:
    return ".".join([path, *keys] if path else keys)


def _feature_to_data(feature: Feature) -> dict[str, Any]:
    name = transforms.name_of(feature.config)
    settings = {key: value for key, value in to_data(feature.config).items() if value != []}
    return {"transform": name, **({} if feature.of else {"column": feature.column}), **settings}


def _feature_from_data(name: str, table: Any, path: str) -> Feature:
    if not isinstance(table, Mapping):
        raise ConfigError(path, f"got {clipped(table)}, allowed is a table with the key transform")
    if "transform" not in table:
        raise ConfigError(f"{path}.transform", f"is required and is missing; allowed are {', '.join(transforms)}")
    transform = transforms.get(convert(str, table["transform"], f"{path}.transform"), f"{path}.transform")
    settings = {key: value for key, value in table.items() if key != "transform"}
    column = ""
    if issubclass(transform, ColumnTransform):
        column = convert(str, settings.pop("column", name), f"{path}.column")
    return Feature(name=name, column=column, config=build(transform.Config, settings, path))
