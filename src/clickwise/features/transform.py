"""The kinds of feature transform, and what each must do. A transform is one file, one class, one `Config`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.errors import DataError
from clickwise.native.requests import InputPlan, Target
from clickwise.schema import Field


@dataclass(frozen=True, slots=True)
class State:
    """A fitted transform as plain data: a JSON-ready dict, and a table when there is much of it."""

    values: dict[str, Any]
    table: pa.Table | None = None


class Fit(ABC):
    """Fits a transform from chunks of its column, in bounded memory. Fitting in chunks equals fitting at once."""

    @abstractmethod
    def update(self, parsed: pa.Array) -> None:
        """Take in one more chunk [n] of the column, as `ColumnTransform.parse` gives it.

        A missing value teaches nothing.
        """

    @abstractmethod
    def finish(self) -> ColumnTransform:
        """The fitted transform."""


class Transform(ABC):
    """A fitted feature transform: the same object at training and at serving. Never changes its input.

    `name` is the feature's name. A class is registered with `@register_transform("...")`, has a nested frozen `Config`,
    and is one of `SparseTransform` (a column to ids of a field), `DenseTransform` (a column to one number), `Sequence`
    (a column to ids of another feature's field) or `Cross` (ids of other features to ids of a field).
    """

    Config: ClassVar[type]

    @abstractmethod
    def state(self) -> State:
        """What was fitted, as data: `from_state(name, config, state())` is an equal transform."""

    @classmethod
    @abstractmethod
    def from_state(cls, name: str, config: Any, state: State) -> Transform:
        """The transform that `state` describes.

        Raises:
            BundleError: the state does not make sense.
        """


class ColumnTransform(Transform):
    """A transform that reads a raw column."""

    @classmethod
    @abstractmethod
    def parse(cls, config: Any, column: pa.Array) -> pa.Array:
        """The raw column [n] in the form that `Fit.update` and the transform itself take; null where it is missing.

        Numbers and their text give the same result, so that CSV, Parquet and JSON agree.

        Raises:
            BadCells: cells that cannot be read.
        """

    @classmethod
    def form(cls, config: Any) -> Hashable:
        """What `parse` depends on: a column that several features read in equal forms is parsed once."""
        return cls, config

    @classmethod
    @abstractmethod
    def fit(cls, name: str, config: Any) -> Fit:
        """Begin to fit."""


class SparseTransform(ColumnTransform):
    """A transform whose output is ids of one field."""

    @property
    @abstractmethod
    def field(self) -> Field:
        """The field the ids belong to."""

    @abstractmethod
    def ids(self, parsed: pa.Array) -> np.ndarray:
        """[n, field.length] int32 ids in [0, field.num_ids); -1 where a slot of a multi-valued field is empty."""

    def compile_into(self, plan: InputPlan, target: Target) -> bool:
        """Let a plan do what `parse` and `ids` do, for requests, exactly; false where it cannot.

        Args:
            target: the column, the first slot, and the first row of the table.
        """
        return False


class TokenTransform(SparseTransform):
    """A transform whose ids are those of tokens, so that sequences of such tokens can share them."""

    @property
    @abstractmethod
    def multi(self) -> bool:
        """Whether a cell may hold many tokens."""

    @abstractmethod
    def token_ids(self, tokens: pa.Array) -> np.ndarray:
        """[n] int32 ids of text, each cell a token."""

    def compile_tokens(self, plan: InputPlan, target: Target) -> bool:
        """Let a plan do what `token_ids` does with the tokens of `target`; false where it cannot."""
        return False


class DenseTransform(ColumnTransform):
    """A transform whose output is one finite number."""

    @abstractmethod
    def numbers(self, parsed: pa.Array) -> np.ndarray:
        """[n] float32, finite."""

    def compile_into(self, plan: InputPlan, column: int, place: int) -> bool:
        """Let a plan do what `parse` and `numbers` do, for requests, exactly; false where it cannot.

        Args:
            column: which of the request's.
            place: which of the dense columns.
        """
        return False


class BadCell(NamedTuple):
    """A cell that cannot be read: its position in the chunk, its column, its value as text, and what is wrong."""

    position: int
    column: str
    value: str
    problem: str


class BadCells(Exception):
    """Cells that a conversion cannot read. Internal: the data floor turns it into quarantined rows or a `DataError`."""

    def __init__(self, cells: list[BadCell]) -> None:
        super().__init__(f"{len(cells)} cells cannot be read")
        self.cells = cells

    def of_rows(self, source: str | None = None) -> DataError:
        """The first of them as an error of rows that somebody gave."""
        cell = self.cells[0]
        row = cell.position + 1
        return DataError(
            cell.problem, file=source, row=row, column=cell.column, value=cell.value, fix="correct the row"
        )
