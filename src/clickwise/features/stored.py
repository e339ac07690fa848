"""The files of a fitted pipeline: one JSON file, and one Arrow file for each table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from clickwise.errors import BundleError, ClickwiseError
from clickwise.features.schema_data import schema_from_data, schema_to_data
from clickwise.features.transform import State, Transform
from clickwise.registry import transforms
from clickwise.schema import Feature, Schema

FEATURES_VERSION = 1
"""Version of the layout that this code writes, and the only one it reads."""

MANIFEST = "pipeline.json"


def write(folder: Path, schema: Schema, states: Mapping[str, State]) -> list[str]:
    """Write a schema and the states of its features, by name; the names of the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [MANIFEST]
    entries: dict[str, Any] = {}
    for feature, state in states.items():
        entries[feature] = {"values": state.values}
        if state.table is not None:
            names.append(f"{len(names) - 1:03d}.arrow")
            _write_table(folder / names[-1], state.table)
            entries[feature]["table"] = names[-1]
    data = {"features_version": FEATURES_VERSION, "schema": schema_to_data(schema), "states": entries}
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return names


def _write_table(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())  # one piece, so that reading needs no copy


def read(folder: Path) -> tuple[Schema, dict[str, Transform]]:
    """The schema and the fitted transform of each feature.

    Raises:
        BundleError: a file is missing, damaged or makes no sense.
    """
    path = folder / MANIFEST
    data = _read_json(path)
    if not isinstance(data, dict) or data.get("features_version") != FEATURES_VERSION:
        version = data.get("features_version") if isinstance(data, dict) else None
        raise BundleError(f"{path}: features_version is {version!r}, this clickwise reads {FEATURES_VERSION}")
    try:
        schema = schema_from_data(data.get("schema", {}))
    except ClickwiseError as error:
        raise BundleError(f"{path}: {error}") from None
    states = data.get("states")
    if not isinstance(states, dict) or list(states) != [f.name for f in schema.features] or not states:
        raise BundleError(f"{path}: states do not belong to the features of the schema")
    return schema, {f.name: _read_transform(folder, f, states[f.name]) for f in schema.features}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path}: no such file") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: is not JSON: {error}") from None


def _read_transform(folder: Path, feature: Feature, entry: Any) -> Transform:
    where = f"{folder / MANIFEST}: feature {feature.name!r}"
    if not isinstance(entry, dict) or not isinstance(entry.get("values"), dict):
        raise BundleError(f"{where} has no values")
    table = entry.get("table")
    try:
        state = State(entry["values"], None if table is None else _read_table(folder, table))
        transform = transforms.get(transforms.name_of(feature.config))
        return transform.from_state(feature.name, feature.config, state)
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from None


def _read_table(folder: Path, name: Any) -> pa.Table:
    """Map a table into memory. Its name is a bare file name, so that it cannot lead out of the folder."""
    if not isinstance(name, str) or not name.endswith(".arrow") or "/" in name or "\\" in name:
        raise BundleError(f"the table {name!r} is not the name of an Arrow file")
    try:
        table = pa.ipc.open_file(pa.memory_map(str(folder / name), "r")).read_all()
        table.validate(full=True)
    except FileNotFoundError:
        raise BundleError(f"{name}: no such file") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BundleError(f"{name}: is damaged: {str(error).splitlines()[0]}") from None
    return table
