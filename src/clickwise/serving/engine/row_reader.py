"""Whole rows in Arrow's columns, as requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from clickwise.data.plain import plain_piece
from clickwise.errors import DataError, RequestError
from clickwise.native import requests
from clickwise.native.requests import ReadRows, RowsReader
from clickwise.serving.engine.request import MAX_IGNORED, Request


class RowReader:
    """Reads rows that may have columns of these kinds. May be used by several threads."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds
        self._reader = RowsReader(list(kinds)) if requests.compiled() else None

    def read(self, data: pa.RecordBatch) -> Request:
        """A request of candidates alone, whose columns are these.

        Raises:
            RequestError: two of them have one name; and, on access, a column of it that cannot be read.
        """
        places: dict[str, int] = {}
        ignored: dict[str, None] = {}
        for place, name in enumerate(data.schema.names):
            if name not in self._kinds:
                ignored[name] = None
            elif places.setdefault(name, place) != place:
                raise RequestError("has two columns of one name", column=name, fix="give each column once")
        named = tuple(ignored)[:MAX_IGNORED]
        return Request({}, _Columns(data, places), data.num_rows, named, self._read(data))

    def _read(self, data: pa.RecordBatch) -> ReadRows | None:
        """None where the kernel cannot rely on them: the features have to say what is wrong."""
        if self._reader is None:
            return None
        try:
            data.validate(full=True)
        except pa.ArrowInvalid:
            return None
        return self._reader.read(data)


class _Columns(Mapping[str, pa.Array]):
    """Columns in plain types, each when it is asked for."""

    def __init__(self, data: pa.RecordBatch, places: Mapping[str, int]) -> None:
        self._data, self._places = data, places

    def __getitem__(self, name: str) -> pa.Array:
        column = pa.RecordBatch.from_arrays([self._data.column(self._places[name])], [name])
        try:
            piece = plain_piece(column, np.arange(1, len(column) + 1))
        except (pa.ArrowException, DataError) as error:
            problem = f"cannot be read: {str(error).splitlines()[0]}"
            raise RequestError(problem, column=name) from None
        if piece.bad:
            bad = piece.bad[0]
            raise RequestError(bad.reason, candidate=bad.row, column=name, value=bad.value)
        return piece.data.column(0)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
