"""Frozen dataclasses in and out of plain data (TOML, JSON), with errors that name the key.

A config class is a frozen dataclass. Its field types may be `bool`, `int`, `float`, `str`, `Literal[...]`,
`tuple[T, ...]`, `dict[str, T]`, `T | None`, or another config class. Ranges are checked in `__post_init__` with
`require`.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from clickwise.errors import ConfigError, clipped, nearest

T = TypeVar("T")


def require(condition: bool, key: str, got: object, allowed: str) -> None:
    """Raise a `ConfigError` that says what `key` got and what it allows, unless `condition` holds."""
    if not condition:
        raise ConfigError(key, f"got {clipped(got)}, allowed is {allowed}")


def build(cls: type[T], data: Mapping[str, Any], path: str = "") -> T:
    """Make a `cls` from plain data, refusing unknown keys and wrong types.

    Args:
        cls: a frozen dataclass.
        data: keys and values as TOML or JSON give them.
        path: dotted path of this table in the whole config, for the error messages.

    Raises:
        ConfigError: an unknown key (with the nearest valid one), a missing key, a wrong type or a value out of range.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(path, f"got {clipped(data)}, allowed is a table")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in data.items():
        here = f"{path}.{key}" if path else str(key)
        if key not in fields:
            raise ConfigError(here, f"unknown key{nearest(str(key), fields)}; allowed are {', '.join(fields)}")
        values[key] = convert(hints[key], value, here)
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if name not in values and no_default:
            raise ConfigError(f"{path}.{name}" if path else name, "is required and is missing")
    try:
        return cls(**values)
    except ConfigError as error:
        raise (error.under(path) if path else error) from None


def convert(hint: Any, value: Any, path: str) -> Any:
    """`value` as the type `hint`; a `ConfigError` at `path` when it is not one."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(typing.get_args(hint), value, path)
    if origin is Literal:
        options = typing.get_args(hint)
        if value not in options:
            hit = nearest(str(value), [str(o) for o in options])
            raise ConfigError(path, f"got {clipped(value)}{hit}, allowed are {', '.join(map(repr, options))}")
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise ConfigError(path, f"got {clipped(value)}, allowed is a list")
        return tuple(convert(typing.get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(path, f"got {clipped(value)}, allowed is a table")
        return {str(k): convert(typing.get_args(hint)[1], v, f"{path}.{k}") for k, v in value.items()}
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, path)  # type: ignore[arg-type]
    return _convert_scalar(hint, value, path)


def _convert_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    kinds = [o for o in options if o is not type(None)]
    for kind in kinds[:-1]:
        try:
            return convert(kind, value, path)
        except ConfigError:
            continue
    return convert(kinds[-1], value, path)


_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _convert_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if hint in _SCALARS and type(value) is hint:
        return value
    raise ConfigError(path, f"got {clipped(value)}, allowed is {_SCALARS.get(hint, str(hint))}")


def to_data(config: Any) -> Any:
    """The plain data of a config: the inverse of `build`, fields that are None left out."""
    if dataclasses.is_dataclass(config):
        pairs = ((f.name, getattr(config, f.name)) for f in dataclasses.fields(config) if f.init)
        return {name: to_data(value) for name, value in pairs if value is not None}
    if isinstance(config, Mapping):
        return {str(k): to_data(v) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return [to_data(v) for v in config]
    return config


def read_toml(path: str | Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        ConfigError: the file is missing, cannot be read or is not TOML (with the line).
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None


def set_path(data: dict[str, Any], assignment: str) -> None:
    """Apply one `path=value` to nested plain data, in place. The value is read as TOML, else as text.

    >>> data = {}
    >>> set_path(data, "model.hidden_dims=[64, 32]"); set_path(data, "model.name=fm"); data
    {'model': {'hidden_dims': [64, 32], 'name': 'fm'}}
    """
    path, equals, text = assignment.partition("=")
    keys = _split_path(path.strip())
    if not equals or not all(keys):
        raise ConfigError("--set", f"got {assignment!r}, allowed is path=value, such as training.epochs=3")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    table = data
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ConfigError(path, f"{key!r} is a value, not a table")
    table[keys[-1]] = value


def _split_path(path: str) -> list[str]:
    """Split at dots outside double quotes: `schema.features."user.id".min_count`."""
    parts = path.split('"')
    keys: list[str] = []
    for i, part in enumerate(parts):
        if i % 2:
            keys.append(part)
        else:
            keys += [k.strip() for k in part.strip(".").split(".")] if part.strip(".") else []
    return keys or [""]
