"""Ids with a value beside each, as libsvm and libffm files have them: two list columns that are one feature."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MOST_SLOTS = 64
"""A bag of at most so many ids gives each slot a vector of its own, so that models see pairs inside the bag."""


def weighted_ids(sample: pa.Table, min_count: int) -> dict[str, dict[str, Any]]:
    """The features of all pairs of an id column and its value column: `features` and `values`, or `x` and `x_values`.

    The value multiplies the embedding of its id, as x_i multiplies v_i in Rendle 2010; where all values are 1 there is
    nothing to multiply.

    >>> ids, values = pa.array([["3", "7"], ["5"]]), pa.array([[1.0, 0.5], [1.0]])
    >>> weighted_ids(pa.table({"f0": ids, "f0_values": values}), 1)["f0"]["weights"]
    'f0_values'
    """
    found = {}
    for name in sample.column_names:
        values = "values" if name == "features" else f"{name}_values"
        if values in sample.column_names and _is_list(sample, name, text=True) and _is_list(sample, values, text=False):
            entry = {"transform": "vocabulary", "column": name, "min_count": min_count, "pooling": "sum"}
            if name == "features" and (pc.max(pc.list_value_length(sample.column(name))).as_py() or 0) <= MOST_SLOTS:
                entry["pooling"] = "none"
            inner = pc.list_flatten(sample.column(values))
            if pc.any(pc.not_equal(inner, 1.0)).as_py():
                entry["weights"] = values
            found[name] = entry
    return found


def value_columns(found: dict[str, dict[str, Any]]) -> set[str]:
    """The value columns that belong to features of `weighted_ids`."""
    return {"values" if name == "features" else f"{name}_values" for name in found}


def _is_list(sample: pa.Table, name: str, *, text: bool) -> bool:
    kind = sample.schema.field(name).type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    return pa.types.is_string(kind.value_type) if text else pa.types.is_floating(kind.value_type)
