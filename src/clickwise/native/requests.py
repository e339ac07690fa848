"""Requests, compiled: bytes of JSON to columns of text, and these or Arrow's columns to model inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.native import Tier, kernels, tier

TimePart = Literal["minute", "hour", "weekday", "hour_of_week", "day", "month"]
_TIME_PARTS: tuple[TimePart, ...] = get_args(TimePart)  # in the order of the kernel


def compiled() -> bool:
    """Whether these classes can be used."""
    return tier() > Tier.TORCH


class Problem(NamedTuple):
    """What is wrong with a request: at which byte (-1: somewhere), candidate (from 1 on, 0: none) and column."""

    what: str
    byte: int
    candidate: int
    column: str | None
    value: str


class RequestReader:
    """Reads requests that may have the columns `names`; a cell of those in `lists` may be a list. For many threads."""

    def __init__(self, names: Sequence[str], lists: Sequence[bool]) -> None:
        self._names = list(names)
        self._reader = kernels().RequestReader(self._names, list(lists))

    def read(self, body: bytes, max_candidates: int) -> ReadRequest | Problem:
        """What the body says, or what is wrong with it."""
        read = self._reader.read(body, max_candidates)
        if read.problem is None:
            return ReadRequest(self._names, read)
        what, byte, candidate, column, value = read.problem
        return Problem(what, byte, candidate, None if column < 0 else self._names[column], value)


class ReadRequest:
    """A request that was read; its columns become arrays when somebody asks for them."""

    def __init__(self, names: Sequence[str], read: Any) -> None:
        self.read = read
        self.user: Mapping[str, pa.Array] = _Side(names, read.user_columns(), read.user_column)
        self.candidates: Mapping[str, pa.Array] = _Side(names, read.candidate_columns(), read.candidate_column)
        self.num_candidates: int = read.count
        self.ignored: tuple[str, ...] = tuple(read.ignored)


class _Side(Mapping[str, pa.Array]):
    def __init__(self, names: Sequence[str], given: Sequence[int], parts: Any) -> None:
        self._places = {names[place]: place for place in given}
        self._parts = parts

    def __getitem__(self, name: str) -> pa.Array:
        return _array(*self._parts(self._places[name]))

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class RowsReader:
    """Reads rows in Arrow's columns, of which a plan uses those that have one of `names`. For many threads."""

    def __init__(self, names: Sequence[str]) -> None:
        self._reader = kernels().RowsReader(list(names))

    def read(self, rows: pa.RecordBatch) -> ReadRows:
        """Views of its columns, each name once; it must have been validated in full."""
        return ReadRows(self._reader.read(*rows.__arrow_c_array__()))


class ReadRows(NamedTuple):
    """Whole rows that were read."""

    read: Any


class Target(NamedTuple):
    """Where the ids of a field go, and what the cells of its column hold.

    Args:
        column: which of the request's.
        slot: the first that the ids fill, of `length`.
        first_row: of the table, that id 0 has.
        many: a cell may hold many tokens, in a list or, with a `separator`, in text. Missing ones are left out.
        history: of too many the last are kept, and slots of a cell without any are empty; else the first are kept, and
            a cell without any is missing.
    """

    column: int
    slot: int
    first_row: int
    length: int = 1
    many: bool = False
    history: bool = False
    separator: str | None = None


class InputPlan:
    """How columns become table rows in the slots of a batch, and numbers in its dense columns.

    Args:
        max_token_bytes: longest token.
    """

    def __init__(self, max_token_bytes: int) -> None:
        self._plan = kernels().InputPlan(max_token_bytes)

    def add_vocabulary(self, target: Target, seed: int, hashes: np.ndarray, ids: np.ndarray, first: np.ndarray) -> None:
        """By fingerprints and their directory (`columns.Lookup`)."""
        self._plan.add_vocabulary(_target(target), seed, hashes, ids, first)

    def add_hashing(self, target: Target, seed: int, buckets: int) -> None:
        """As `columns.buckets`."""
        self._plan.add_hashing(_target(target), seed, buckets)

    def add_bucket(self, target: Target, cuts: np.ndarray) -> None:
        """Numbers, as `columns.places`."""
        self._plan.add_bucket(_target(target), cuts)

    def add_time(self, target: Target, part: TimePart, format: str | None) -> bool:
        """A part of times; false where times of that format cannot be read."""
        return self._plan.add_time(_target(target), _TIME_PARTS.index(part), format or "")

    def add_scaled(self, column: int, place: int, missing: float, mean: float, std: float) -> None:
        """The dense column `place`, by mean and standard deviation."""
        self._plan.add_scaled(column, place, missing, mean, std, False)

    def add_scaled_log(self, column: int, place: int, missing: float, mean: float, std: float) -> None:
        """The same of logarithms, which `fill` asks for."""
        self._plan.add_scaled(column, place, missing, mean, std, True)

    def add_quantile(self, column: int, place: int, missing: float, cuts: np.ndarray, steps: int) -> None:
        """The number of cuts at or below, over `steps`."""
        self._plan.add_quantile(column, place, missing, cuts, steps)

    def fill(
        self,
        request: ReadRequest | ReadRows,
        sparse: np.ndarray,
        dense: np.ndarray,
        signed_log: Callable[[np.ndarray], np.ndarray],
    ) -> list[int]:
        """Write the slots and numbers of the plan into sparse [candidates, S] and dense [candidates, N].

        Gives what met a cell that is none of the usual, so that nothing useful was written: how many were added to the
        plan before it. The features have to say what it is.

        Args:
            signed_log: of training, which is not compiled so that it is the same in all bits.
        """
        left, logs = self._plan.fill(request.read, sparse, dense)
        if len(logs):
            self._plan.fill_logs(request.read, signed_log(logs), dense)
        return left


def _target(target: Target) -> Any:
    return kernels().Target(*target[:-1], target.separator or "")


def _array(
    all_bools: bool, data: np.ndarray, offsets: np.ndarray, validity: np.ndarray, lists: Any, list_validity: Any
) -> pa.Array:
    """Text, booleans or lists of text, in the buffers as they are."""
    text = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data), _bits(validity))
    if lists is None:
        return pc.equal(text, "true") if all_bools else text
    buffers = [_bits(list_validity), pa.py_buffer(lists)]
    return pa.Array.from_buffers(pa.list_(pa.string()), len(lists) - 1, buffers, children=[text])


def _bits(validity: np.ndarray) -> pa.Buffer | None:
    return pa.py_buffer(validity) if len(validity) else None
