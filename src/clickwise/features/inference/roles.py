"""Which column is the label, the time, the weight, the group and the truth: as declared, as hinted, or by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.errors import ConfigError, clipped, nearest
from clickwise.features.arrays import plain
from clickwise.features.label import read_label
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCells
from clickwise.schema import Schema

LABEL_NAMES = (
    "click", "clicks", "clicked", "is_click", "is_clicked", "label", "is_attributed", "target", "y", "converted",
    "conversion", "is_conversion",
)  # fmt: skip
"""Columns that are the label when nothing else is said and only one of them is there."""
TIME_NAMES = (
    "timestamp",
    "event_time",
    "click_time",
    "impression_time",
    "time",
    "datetime",
    "ts",
    "date",
    "created_at",
)
"""Among several time columns, the first of these that is there."""
TRUTH_NAME = "true_probability"
ONLY_INFERENCE = ("infer", "exclude")
"""Keys of a declared schema that speak to inference only."""

_COLUMN_ROLES = ("label", "weight", "time", "group", "item", "truth")


def check_declared(declared: Mapping[str, Any], columns: Sequence[str]) -> None:
    """Raise a `ConfigError` for an unknown key, or a column that is not there."""
    allowed = [f.name for f in dataclasses.fields(Schema)] + list(ONLY_INFERENCE)
    for key, value in declared.items():
        if key not in allowed:
            raise ConfigError(
                f"schema.{key}", f"unknown key{nearest(key, allowed)}; allowed are {', '.join(sorted(allowed))}"
            )
        if key in _COLUMN_ROLES and value:
            check_column(f"schema.{key}", value, columns)
    if not isinstance(declared.get("infer", False), bool):
        raise ConfigError("schema.infer", f"got {clipped(declared['infer'])}, allowed is true or false")
    exclude = declared.get("exclude", [])
    if not isinstance(exclude, list | tuple):
        raise ConfigError("schema.exclude", f"got {clipped(exclude)}, allowed is a list of columns")
    for column in exclude:
        check_column("schema.exclude", column, columns)
    features = declared.get("features", {})
    if not isinstance(features, Mapping):
        raise ConfigError("schema.features", f"got {clipped(features)}, allowed is a table of features")
    for name, entry in features.items():
        if isinstance(entry, Mapping) and not is_cross(entry) and isinstance(entry.get("column", name), str):
            check_column(f"schema.features.{name}.column", entry.get("column", name), columns)


def is_cross(entry: Any) -> bool:
    """Whether this is the table of a cross, which reads other features and no column."""
    return isinstance(entry, Mapping) and entry.get("transform") == "cross"


def stands_on_others(entry: Any) -> bool:
    """Whether this is the table of a feature that other features must be there for: a cross, or a sequence."""
    return is_cross(entry) or (isinstance(entry, Mapping) and entry.get("transform") == "sequence")


def check_column(key: str, column: Any, columns: Sequence[str]) -> None:
    """Raise a `ConfigError` at `key` unless `column` is one of `columns`."""
    if not isinstance(column, str) or column not in columns:
        listed = ", ".join(columns[:40]) + (", ..." if len(columns) > 40 else "")
        hit = nearest(str(column), columns)
        raise ConfigError(key, f"got {clipped(column)}, which is no column of the data{hit}; its columns are {listed}")


def find_label(columns: Sequence[str]) -> str:
    """The one column whose name says that it is the label.

    Raises:
        ConfigError: there is none, or more than one.
    """
    found = [c for c in columns if c.lower() in LABEL_NAMES]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(columns[:40]) + (", ..." if len(columns) > 40 else "")
    problem = f"several columns could be it: {', '.join(found)}" if found else "no column has the name of one"
    raise ConfigError("schema.label", f"say which column is the label; {problem}; the columns are {listed}")


def sample_labels(sample: pa.Table, schema: Schema) -> np.ndarray:
    """The labels of a sample, NaN where one cannot be read; all 1 where there is no label.  [n] float32

    Raises:
        ConfigError: most cannot be read, so the rule for the label must be wrong; or the column holds lists.
    """
    if not schema.label:
        return np.ones(sample.num_rows, np.float32)
    array = plain(sample.column(schema.label))
    if pa.types.is_nested(array.type):
        raise ConfigError("schema.label", f"column {schema.label!r} holds lists; a label is one value a row")
    labels = np.full(len(array), np.nan, np.float32)
    good = np.arange(len(array))
    while len(good):
        try:
            labels[good] = read_label(array.take(pa.array(good)), schema)
            break
        except BadCells as error:
            good = np.delete(good, [cell.position for cell in error.cells])
    if len(good) * 2 < len(array):
        raise ConfigError("schema.label", _unreadable_label(array, schema))
    return labels


def _unreadable_label(array: pa.Array, schema: Schema) -> str:
    counted = pc.value_counts(to_tokens(array, max_bytes=None).cast(pa.string()))
    ordered = sorted(counted.to_pylist(), key=lambda entry: -entry["counts"])
    values = [entry["values"] for entry in ordered if entry["values"] is not None]
    shown = ", ".join(repr(v) for v in values[:6]) + (f" and {len(values) - 6:,} more" if len(values) > 6 else "")
    rarer = repr(values[1] if len(values) > 1 else values[0]) if values else "'...'"
    return (
        f"column {schema.label!r} is not 0 or 1 in most rows: it holds {shown or 'nothing'}; set "
        f"schema.positive = [{rarer}], or schema.threshold for numbers, or name another column"
    )


def choose_time(candidates: Sequence[str]) -> tuple[str | None, str | None]:
    """The time column among the columns of moments, and a warning when there was a choice."""
    if len(candidates) < 2:
        return (candidates[0] if candidates else None), None
    named = [c for name in TIME_NAMES for c in candidates if c.lower() == name]
    chosen = (named or list(candidates))[0]
    others = ", ".join(repr(c) for c in candidates if c != chosen)
    return chosen, f"several columns hold times; {chosen!r} is taken as schema.time, not {others}"


def is_signed(column: pa.ChunkedArray) -> bool:
    """Whether a label is 1 and -1, as libsvm and libffm files may have it; then 1 is the click."""
    if pa.types.is_nested(column.type):
        return False
    values = {str(value).removeprefix("+").removesuffix(".0") for value in column.unique().to_pylist()[:3]}
    return values == {"1", "-1"}
