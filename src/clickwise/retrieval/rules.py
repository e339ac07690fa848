"""`Rule`: what an attribute of an item must be, and which rows of a column are so."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from clickwise.config import require
from clickwise.errors import ConfigError, clipped
from clickwise.features.arrays import is_list, present, values
from clickwise.features.numeric import to_numbers
from clickwise.features.transform import BadCells

Op = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]

_OPERATOR = re.compile(r"\s+not\s+in\s+|\s+in\s+|<=|>=|!=|==|=|<|>")
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on one column of the items.

    Where a cell is missing (null, NaN), only `!=` and `not in` hold. `in` asks whether the cell is one of several
    values; of a list, whether one of its elements is. Text that holds numbers is ordered as numbers.

    Args:
        column: of the items.
        op: ==, !=, <, <=, >, >=, in, not in.
        value: text, a number, a bool or a time; for `in` and `not in` a tuple of such. Text is read as the column's
            type.

    >>> Rule.parse("price <= 5"), Rule.parse("category in shoes|hats")
    (Rule(column='price', op='<=', value='5'), Rule(column='category', op='in', value=('shoes', 'hats')))
    """

    column: str
    op: Op
    value: Any

    def __post_init__(self) -> None:
        require(bool(self.column), "rule", self.column, "a column, an operator and a value, such as price<=5")
        require(self.op in get_args(Op), f"rule on {self.column}", self.op, ", ".join(get_args(Op)))
        several = isinstance(self.value, tuple | list | set | frozenset)
        if self.op in ("in", "not in"):
            require(several and len(self.value) > 0, f"rule on {self.column}", self.value, "a list of values")
            object.__setattr__(self, "value", tuple(self.value))
        else:
            require(not several and self.value is not None, f"rule on {self.column}", self.value, "one value")

    def __str__(self) -> str:
        word = f" {self.op} " if self.op in ("in", "not in") else self.op
        return f"{self.column}{word}{'|'.join(map(str, self.value)) if isinstance(self.value, tuple) else self.value}"

    @classmethod
    def parse(cls, text: str) -> Rule:
        """A rule from text: a column, an operator, a value. `=` is `==`; the values of `in` stand between `|`.

        Raises:
            ConfigError: there is no operator, or no column before it.
        """
        found = _OPERATOR.search(text)
        if found is None or not text[: found.start()].strip():
            raise ConfigError("rule", f"got {clipped(text)}, allowed is such as price<=5 or category in shoes|hats")
        op, value = " ".join(found.group().split()), text[found.end() :].strip()
        column = text[: found.start()].strip()
        if op in ("in", "not in"):
            return cls(column, cast(Op, op), tuple(part.strip() for part in value.split("|")))
        return cls(column, cast(Op, "==" if op == "=" else op), value)

    def holds(self, column: pa.Array) -> np.ndarray:
        """Where it holds in a column [n] of a plain type.  [n] bool

        Raises:
            ConfigError: the operator or the value does not fit the column's type.
        """
        if self.op in ("!=", "not in"):
            return ~self._holds(column)
        return self._holds(column)

    def _holds(self, column: pa.Array) -> np.ndarray:
        """The same for ==, <, <=, >, >= and in; for their opposites, what they are the opposite of."""
        kind = column.type
        if is_list(kind):
            if self.op not in ("in", "not in"):
                raise self._unfit(kind, f"in and not in, such as {self.column} in {self.value}")
            inside = self._one_of(column.flatten())
            parents = values(pc.list_parent_indices(column))
            found = np.zeros(len(column), bool)
            found[parents[inside]] = True
            return found
        if self.op in ("in", "not in"):
            return self._one_of(column)
        if self.op in _ORDERS:
            return self._ordered(column)
        return self._equal(column, self.value)

    def _one_of(self, column: pa.Array) -> np.ndarray:
        found = np.zeros(len(column), bool)
        for value in self.value:
            found |= self._equal(column, value)
        return found

    def _equal(self, column: pa.Array, value: Any) -> np.ndarray:
        kind = column.type
        if pt.is_null(kind):
            return np.zeros(len(column), bool)
        if pt.is_integer(kind) or pt.is_floating(kind):
            return present(column) & (values(column) == self._number(value, kind))
        if pt.is_string(kind) or pt.is_large_string(kind):
            return _true(pc.equal(column, _text(value)))
        return _true(pc.equal(column, self._scalar(value, kind)))

    def _ordered(self, column: pa.Array) -> np.ndarray:
        kind, compare = column.type, _ORDERS[self.op]
        if pt.is_null(kind):
            return np.zeros(len(column), bool)
        if pt.is_boolean(kind):
            raise self._unfit(kind, "== and !=")
        if pt.is_temporal(kind):
            names = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
            return _true(pc.call_function(names[self.op], [column, self._scalar(self.value, kind)]))
        if not (pt.is_integer(kind) or pt.is_floating(kind)):
            try:
                column = to_numbers(column)
            except BadCells as bad:
                raise self._unfit(kind, f"== and !=: {clipped(bad.cells[0].value)} has no order") from None
        return present(column) & compare(values(column), self._number(self.value, kind))

    def _number(self, value: Any, kind: pa.DataType) -> int | float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return value
        if isinstance(value, str):
            for read in (int, float):
                try:
                    number = read(value)
                except ValueError:
                    continue
                if math.isfinite(number):
                    return number
        raise self._unfit(kind, "a number", value)

    def _scalar(self, value: Any, kind: pa.DataType) -> pa.Scalar:
        """`value` as a scalar of a type that is neither text nor a number."""
        if pt.is_boolean(kind) and isinstance(value, str):
            value = value.lower()
        try:
            return pa.scalar(value).cast(kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise self._unfit(kind, f"a value of type {kind}", value) from None

    def _unfit(self, kind: pa.DataType, allowed: str, got: Any = None) -> ConfigError:
        what = clipped(self.op if got is None else got)
        return ConfigError(f"rule {self}", f"got {what}, allowed for column {self.column!r} of {kind} is {allowed}")


def _true(mask: pa.BooleanArray) -> np.ndarray:
    """Where a mask is true and not null.  [n] bool"""
    return present(mask) & values(mask)


def _text(value: Any) -> str:
    """A value as the text of a cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
