"""What a row is trained towards: its label (0 or 1), its weight and its group, read by the schema's rules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.features.arrays import codes
from clickwise.features.label import read_label, refuse_cells
from clickwise.features.numeric import number_values, to_numbers
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCell, BadCells
from clickwise.features.xxh64 import xxh64
from clickwise.schema import Schema

GROUP_SEED = 0
"""Seed of the hash that names a group; fixed, so that files encoded apart agree."""


class Targets(NamedTuple):
    """Label [n] float32 of 0 and 1, weight [n] float32 >= 0, group [n] uint64 (0: missing)."""

    label: np.ndarray
    weight: np.ndarray
    group: np.ndarray


def read_targets(data: pa.RecordBatch, schema: Schema) -> Targets:
    """Label, weight and group of each row.

    Raises:
        BadCells: every label and weight of the batch that cannot be read.
    """
    label, weight = (np.ones(data.num_rows, np.float32) for _ in range(2))
    bad: list[BadCell] = []
    try:
        label = read_label(data.column(schema.label), schema) if schema.label else label
    except BadCells as error:
        bad += error.cells
    try:
        weight = read_weight(data.column(schema.weight), schema) if schema.weight else weight
    except BadCells as error:
        bad += error.cells
    if bad:
        raise BadCells(bad)
    group = read_group(data.column(schema.group)) if schema.group else np.zeros(data.num_rows, np.uint64)
    return Targets(label, weight, group)


def read_weight(column: pa.Array, schema: Schema) -> np.ndarray:
    """Sample weights.  [n] float32

    Raises:
        BadCells: weights that are missing, negative or not finite numbers.
    """
    number = _numbers(column, schema.weight or "").astype(np.float32)
    good = np.isfinite(number) & (number >= 0)
    refuse_cells(~good, schema.weight or "", column, "the weight is not a finite number >= 0")
    return number


def read_truth(column: pa.Array, name: str) -> np.ndarray:
    """True click probabilities.  [n] float64

    Raises:
        BadCells: values that are missing or not strictly between 0 and 1.
    """
    number = _numbers(column, name)
    refuse_cells(~((number > 0) & (number < 1)), name, column, "the true probability is not a number between 0 and 1")
    return number


def _numbers(column: pa.Array, name: str) -> np.ndarray:
    """The column as float64, NaN where it is missing."""
    try:
        return number_values(to_numbers(column))
    except BadCells as error:
        raise BadCells([cell._replace(column=name) for cell in error.cells]) from None


def read_group(column: pa.Array) -> np.ndarray:
    """A hash of each row's group token, 0 where it is missing.  [n] uint64"""
    tokens = to_tokens(column, max_bytes=None)
    hashed = np.append(xxh64(tokens.dictionary, GROUP_SEED), np.uint64(0))  # the last is for -1, missing
    return hashed[codes(tokens)]
