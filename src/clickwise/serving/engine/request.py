"""`Request`: what a body in JSON says, as columns; and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import pyarrow as pa

from clickwise.errors import RequestError
from clickwise.native.requests import ReadRequest, ReadRows

MAX_DEPTH = 32
"""Arrays and objects inside each other, the outermost included."""
MAX_IGNORED = 16
"""Unknown keys that are named."""


class Request(NamedTuple):
    """A user and the candidates to score for it.

    Columns are there if one object of their side has the key; a key that others lack is null there. Cells are text,
    lists of text, or all of them booleans.

    Args:
        user: columns of one row.
        candidates: columns of `num_candidates` rows.
        num_candidates: how many there are.
        ignored: names of keys that are no columns, at most `MAX_IGNORED` different ones.
        read: what the kernel read; None: no kernel did.
    """

    user: Mapping[str, pa.Array]
    candidates: Mapping[str, pa.Array]
    num_candidates: int
    ignored: tuple[str, ...] = ()
    read: ReadRequest | ReadRows | None = None


class Reader(Protocol):
    """Reads bodies of one set of columns. May be used by several threads."""

    def read(self, body: bytes, max_candidates: int) -> Request:
        """The request that is written in JSON, `{"user": {..}, "candidates": [{..}, ..]}`.

        The token of a number is the one that training gave to the same number in a column of integers or floats. Keys
        that are no columns are skipped, and named in `Request.ignored`.

        Raises:
            RequestError: not JSON, another shape, a key twice, a cell that its column cannot hold, too many candidates.
        """


def check_sides(request: Request) -> Request:
    """The request, whose sides must not share a column."""
    for name in request.user:
        if name in request.candidates:
            fix = "give it on one side"
            raise RequestError("is given for the user and for the candidates", column=name, fix=fix)
    return request
