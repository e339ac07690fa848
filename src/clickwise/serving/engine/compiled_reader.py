"""Requests in JSON, read by a kernel in one pass."""

from __future__ import annotations

from collections.abc import Mapping

from clickwise.errors import RequestError
from clickwise.native.requests import Problem, RequestReader
from clickwise.serving.engine.request import Request, check_sides


class CompiledReader:
    """See `clickwise.serving.engine.request.Reader`."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._reader = RequestReader(list(kinds), [kind == "list" for kind in kinds.values()])

    def read(self, body: bytes, max_candidates: int) -> Request:
        """See `Reader.read`."""
        found = self._reader.read(body, max_candidates)
        if isinstance(found, Problem):
            raise _error(found, max_candidates)
        return check_sides(Request(found.user, found.candidates, found.num_candidates, found.ignored, found))


def _error(problem: Problem, max_candidates: int) -> RequestError:
    what = problem.what if problem.byte < 0 else f"is no request in JSON: {problem.what}, at byte {problem.byte + 1}"
    if problem.what == "has too many candidates":
        what = f"has more than {max_candidates} candidates; send fewer at a time"
        return RequestError(what)
    value = problem.value or None
    return RequestError(what, candidate=problem.candidate or None, column=problem.column, value=value)
