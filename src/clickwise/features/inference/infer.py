"""`infer_schema`: what the columns of a log mean, from a sample of its first rows.

| what the sample shows                                   | what becomes of the column                              |
|---------------------------------------------------------|---------------------------------------------------------|
| a label's name (`click`, `label`, `is_attributed`, ...) | the label, when none is given                           |
| `true_probability`                                      | the truth: never a feature                              |
| one value, or nothing at all                            | dropped                                                 |
| tells the label alone: AUC above 0.99 (`leaks`)         | dropped, with a warning                                 |
| another value in (nearly) every row of 1,000            | dropped, unless an amount or a time                     |
| times: ISO 8601, Arrow, Unix times by their name        | `datetime`: hour; weekday if they span two days; `time` |
| numbers with a fraction; amounts (`quantities`)         | `bucket`                                                |
| other whole numbers; text; true and false               | `vocabulary`                                            |
| lists; text with values separated by one of `| ; ,`     | `vocabulary` with pooling                               |
| cells of over 1,000 bytes; structs and other types      | dropped                                                 |

A vocabulary keeps tokens seen `min_count` times: 1 below 50,000 rows, 2 below 1 million, 3 below 10 million, else 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.errors import ConfigError
from clickwise.features.inference.leaks import leak
from clickwise.features.inference.profile import Profile, profile
from clickwise.features.inference.quantities import amount_reason
from clickwise.features.inference.roles import (
    ONLY_INFERENCE,
    TRUTH_NAME,
    check_column,
    check_declared,
    choose_time,
    find_label,
    is_cross,
    is_signed,
    sample_labels,
    stands_on_others,
)
from clickwise.features.inference.schema_report import NOT_USED, ColumnReport, InferredSchema
from clickwise.features.inference.weighted_ids import value_columns, weighted_ids
from clickwise.features.schema_data import schema_from_data
from clickwise.features.side_by_side import side_by_side

UNIQUE_SHARE = 0.999
UNIQUE_MIN_ROWS = 1_000
LONGEST_TOKEN = 1_000
_DAY_US = 86_400e6
_ROLES = ("label", "weight", "time", "group", "truth")


def infer_schema(
    sample: pa.Table,
    *,
    label: str | None = None,
    hints: Mapping[str, Any] | None = None,
    declared: Mapping[str, Any] | None = None,
    rows: int | None = None,
) -> InferredSchema:
    """A schema for data that begins like `sample`.

    Declared features are the whole list, and inference fills in only the roles. With `infer = true` beside them they
    come on top: a column that a declared feature reads gets no other, every other column is inferred. Crosses and
    sequences alone always come on top, for they stand on other features. What is declared goes before what a hint says,
    and that before what the sample says. `exclude` names columns to leave out; `time = ""` says that there is no time,
    `label = ""` that every row is a click.

    Args:
        label: the label column.
        hints: what is known of a public format, in the layout of a schema file, with `exclude`.
        declared: what the user said, in the same layout, with `exclude` and `infer`.
        rows: rows of the whole data, where that is known or guessed; the sample's when None.

    Raises:
        ConfigError: an unknown key, a column that is not there, no label, a label that is not 0 or 1, no features.
    """
    declared, hints = dict(declared or {}), dict(hints or {})
    if label is not None:
        declared["label"] = label
    check_declared(declared, sample.column_names)
    inference = _Inference(sample, declared, hints, rows or sample.num_rows)
    return inference.run()


class _Inference:
    """One inference: what was said, what the sample shows, and what was decided so far."""

    def __init__(self, sample: pa.Table, declared: Mapping[str, Any], hints: Mapping[str, Any], rows: int) -> None:
        self.sample = sample
        self.rows = rows
        self.there = sample.column_names
        self.said = _merged_roles(hints, declared, self.there)
        label, ruled = self.said["label"], {"positive", "threshold"} & self.said.keys()
        if label and not ruled and is_signed(sample.column(label)):
            self.said["positive"] = ["1"]
        self.no_time = declared.get("time") == ""
        answers = {self.said.get(role) for role in ("label", "weight", "truth")}
        self.exclude = {*hints.get("exclude", ()), *declared.get("exclude", ())}
        self.declared = dict(declared.get("features") or {})
        basic = [entry for entry in self.declared.values() if not stands_on_others(entry)]
        self.whole = bool(basic) and declared.get("infer") is not True
        taken = {*_columns(self.declared), *answers, *(declared.get("exclude") or ())}
        pairs = {} if self.whole else weighted_ids(sample, self.min_count)
        self.exclude |= value_columns(pairs) - answers
        hinted = {} if self.whole else {**pairs, **(hints.get("features") or {})}
        columns = {name: entry.get("column", name) for name, entry in hinted.items()}
        usable = set(self.there) - taken
        self.hinted = {n: e for n, e in hinted.items() if columns[n] in usable and n not in self.declared}
        self.found: dict[str, dict[str, Any]] = {}
        self.reports: dict[str, ColumnReport] = {}
        self.warnings: list[str] = []
        self.moments: list[str] = []

    def run(self) -> InferredSchema:
        """Decide each column, then the time."""
        explicit = {**self.hinted, **self.declared}
        known = {k: v for k, v in explicit.items() if not stands_on_others(v)}  # the others may be yet to come
        start = {k: v for k, v in self.said.items() if k not in ("time", "item_features")}
        checked = schema_from_data({**start, "features": known}, "schema")  # mistakes in it come first
        labels = sample_labels(self.sample, checked)
        read = _columns(explicit)
        profiles = side_by_side(lambda n: profile(n, self.sample.column(n)), self.there, self.sample.num_rows)
        for column in profiles:
            self._decide(column, labels, read)
        self._settle_time()
        features = {**self._in_order(), **self.declared}
        if not features:
            reasons = ", ".join(f"{c.name} ({c.decision}: {c.reason})" for c in self.reports.values())
            raise ConfigError("schema.features", f"no column can be a feature; the columns are {reasons}")
        schema = schema_from_data({**self.said, "features": features}, "schema")
        return InferredSchema(schema, tuple(self.reports.values()), tuple(self.warnings))

    def _in_order(self) -> dict[str, dict[str, Any]]:
        """Hinted and inferred features in the order of their columns; declared ones keep their names."""
        features = {**self.hinted, **self.found}
        place = {name: i for i, name in enumerate(self.there)}
        ordered = sorted(features.items(), key=lambda item: place.get(item[1].get("column", item[0]), 0))
        return {name: entry for name, entry in ordered if name not in self.declared}

    def _decide(self, column: Profile, labels: np.ndarray, read: Mapping[str, list[str]]) -> None:
        """Report on one column, and make its features."""
        name = column.name
        role = next((role for role in _ROLES if self.said.get(role) == name), None)
        if role in ("label", "weight", "truth"):
            self._report(
                column, role, "as said" if role != "truth" else "known for simulated data only; never a feature"
            )
        elif name in read:
            made = ", ".join(read[name])
            because = "declared" if name in _columns(self.declared) else "known for its format"
            self._report(column, f"{role} + {made}" if role else made, because)
            self.moments += [name] if column.kind == "timestamp" else []
        elif name in self.exclude:
            self._report(column, "dropped", "excluded")
        elif self.whole:
            self._report(column, role or NOT_USED, "as said" if role else "the declared features are the whole list")
            may_be_time = column.kind == "timestamp" and not _useless(column) and not leak(column, labels)
            self.moments += [name] if may_be_time else []
        else:
            self._decide_unsaid(column, labels, role)

    def _decide_unsaid(self, column: Profile, labels: np.ndarray, role: str | None) -> None:
        """Drop a column that is useless or leaks, else make its features."""
        useless = _useless(column)
        gives_away = None if useless or role else leak(column, labels)
        if gives_away:
            keep = f"declare [schema.features.{_toml_key(column.name)}] with schema.infer = true to keep it"
            self.warnings.append(f"column {column.name!r} is dropped: {gives_away}; {keep}")
        if useless or gives_away:
            self._report(column, role or "dropped", f"leaks the label: {gives_away}" if gives_away else useless or "")
            return
        if column.kind == "timestamp":
            self.moments.append(column.name)
        elif column.odd is not None:
            self.warnings.append(
                f"column {column.name!r} holds numbers but also {column.odd!r}; such rows will be quarantined"
            )
        entries, reason = self._features(column)
        entries = {name: entry for name, entry in entries.items() if name not in {**self.declared, **self.hinted}}
        self.found |= entries
        made = ", ".join(dict.fromkeys(_shown(entry) for entry in entries.values()))
        self._report(column, f"{role} + {made}" if role else made, reason)

    def _features(self, column: Profile) -> tuple[dict[str, dict[str, Any]], str]:
        """The features of a column, and why these."""
        name = column.name
        counted = {"transform": "vocabulary", "column": name, "min_count": self.min_count}
        if column.kind == "timestamp":
            return self._moment_features(column)
        if column.kind == "number":
            return {name: {"transform": "bucket", "column": name}}, "numbers with a fraction"
        if column.kind == "integer":
            is_amount, reason = amount_reason(column)
            return {name: {"transform": "bucket", "column": name} if is_amount else counted}, reason
        if column.separator is not None:
            return {name: {**counted, "separator": column.separator}}, f"several values a cell, by {column.separator!r}"
        return {name: counted}, {"list": "several values a cell", "boolean": "true and false"}.get(column.kind, "text")

    def _moment_features(self, column: Profile) -> tuple[dict[str, dict[str, Any]], str]:
        name = column.name
        assert column.numbers is not None
        span = float(np.nanmax(column.numbers) - np.nanmin(column.numbers))
        expected = span * max(1.0, self.rows / max(column.rows, 1))  # the sample is a head: the whole may span more
        parts = ("hour", "weekday") if expected >= 2 * _DAY_US else ("hour",)
        features = {f"{name}_{part}": {"transform": "datetime", "column": name, "part": part} for part in parts}
        return features, "times" if len(parts) == 2 else "times of less than two days, so no weekday"

    @property
    def min_count(self) -> int:
        """How often a token must be seen to be kept."""
        return next((c for below, c in ((50_000, 1), (1_000_000, 2), (10_000_000, 3)) if self.rows < below), 5)

    def _settle_time(self) -> None:
        """`schema.time`, when none was said and there is a column of times."""
        if "time" in self.said or self.no_time:
            return
        chosen, warning = choose_time(self.moments)
        if warning:
            self.warnings.append(warning)
        if chosen is not None:
            self.said["time"] = chosen
            old = self.reports[chosen]
            decision = "time" if old.decision == NOT_USED else f"time + {old.decision}"
            self.reports[chosen] = replace(old, decision=decision)

    def _report(self, column: Profile, decision: str, reason: str) -> None:
        self.reports[column.name] = ColumnReport(
            column.name, column.kind, column.distinct, column.missing_fraction, decision, reason
        )


def _merged_roles(hints: Mapping[str, Any], declared: Mapping[str, Any], there: Sequence[str]) -> dict[str, Any]:
    """Everything but the features: as declared, else as hinted; the label and the truth also by their names."""
    hinted = {k: v for k, v in hints.items() if k not in _ROLES or k == "label" or v in there}
    another_label = declared.get("label", hints.get("label")) != hints.get("label")
    if another_label or declared.get("positive") or declared.get("threshold") is not None:
        hinted = {k: v for k, v in hinted.items() if k not in ("positive", "threshold")}
    merged = {k: v for k, v in {**hinted, **declared}.items() if k not in (*ONLY_INFERENCE, "features")}
    said = {k: v for k, v in merged.items() if v is not None and (v != "" or k == "label")}
    if "label" not in said:
        said["label"] = find_label(there)
    if said["label"]:
        check_column("schema.label", said["label"], there)
    if TRUTH_NAME in there and said["label"] != TRUTH_NAME:
        said.setdefault("truth", TRUTH_NAME)
    return said


def _useless(column: Profile) -> str | None:
    """Why a column says nothing about clicks; None when it may."""
    if column.kind == "unsupported":
        return "its type cannot be a feature"
    if column.present == 0:
        return "nothing in it"
    if column.distinct <= 1 and column.present == column.rows and not column.multi_valued:
        return "the same value in every row"
    if column.longest > LONGEST_TOKEN:
        return f"free text: cells of up to {column.longest:,} bytes"
    unique = column.present >= UNIQUE_MIN_ROWS and column.distinct >= UNIQUE_SHARE * column.present
    names_rows = column.kind == "text" or (column.kind == "integer" and not amount_reason(column)[0])
    return "another value in every row" if unique and names_rows and not column.multi_valued else None


def _columns(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """The columns that features read, with what reads them."""
    read: dict[str, list[str]] = {}
    for name, entry in features.items():
        if isinstance(entry, Mapping) and not is_cross(entry):
            for column in (entry.get("column", name), entry.get("weights")):
                if column:
                    read.setdefault(column, []).append(_shown(entry))
    return read


def _shown(entry: Mapping[str, Any]) -> str:
    options = {k: v for k, v in entry.items() if k not in ("transform", "column", "part", "format")}
    name = str(entry.get("part", entry.get("transform", "?")))
    shown = ", ".join(f"{key}={value if str(value).strip() else repr(value)}" for key, value in options.items())
    return f"{name}({shown})" if options else name


def _toml_key(name: str) -> str:
    bare = bool(name) and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
    return name if bare else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
