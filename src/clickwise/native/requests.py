"""Requests in JSON, compiled: bytes to columns of text, and these to table rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.native import Tier, kernels, tier


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


class TokenPlan:
    """How columns of single tokens, and of numbers cut into buckets, become table rows in the slots of a batch.

    Args:
        max_token_bytes: longest token.
    """

    def __init__(self, max_token_bytes: int) -> None:
        self._plan = kernels().TokenPlan()
        self._max_token_bytes = max_token_bytes

    def add_vocabulary(
        self, column: int, slot: int, first_row: int, seed: int, hashes: np.ndarray, ids: np.ndarray, first: np.ndarray
    ) -> None:
        """By fingerprints and their directory (`columns.Lookup`); `first_row` is that of the field."""
        self._plan.add_vocabulary(column, slot, first_row, seed, hashes, ids, first)

    def add_hashing(self, column: int, slot: int, first_row: int, seed: int, buckets: int) -> None:
        """As `columns.buckets`."""
        self._plan.add_hashing(column, slot, first_row, seed, buckets)

    def add_bucket(self, column: int, slot: int, first_row: int, cuts: np.ndarray) -> None:
        """As `columns.places`."""
        self._plan.add_bucket(column, slot, first_row, cuts)

    def fill(self, request: ReadRequest, sparse: np.ndarray) -> bool:
        """Write the slots of the plan into sparse [candidates, S]. False, with nothing useful there, on meeting a cell
        that is none of the usual: the features have to say what it is.
        """
        return self._plan.fill(request.read, self._max_token_bytes, sparse)


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
