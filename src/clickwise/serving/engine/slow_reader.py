"""Requests in JSON, read by Python: what the compiled reader does, where there are no kernels, and to test it by."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import pyarrow as pa

from clickwise.errors import RequestError
from clickwise.serving.engine.request import MAX_DEPTH, MAX_IGNORED, Request, check_sides

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


class _Pairs(list):
    """The keys and values of an object, in order."""


class _Whole(str):
    """A number without a fraction or an exponent, as it is written."""


class _Fraction(str):
    """A number with one."""


class SlowReader:
    """See `clickwise.serving.engine.request.Reader`."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._kinds = dict(kinds)

    def read(self, body: bytes, max_candidates: int) -> Request:
        """See `Reader.read`."""
        data = _parse(body)
        if not isinstance(data, _Pairs):
            raise RequestError('is not an object {"user": {..}, "candidates": [{..}, ..]}')
        ignored: dict[str, None] = {}
        user, candidates = self._sides(data, max_candidates, ignored)
        of_user = self._columns(user, ignored, numbered=False)
        of_candidates = self._columns(candidates, ignored, numbered=True)
        return check_sides(Request(of_user, of_candidates, len(candidates), tuple(ignored)[:MAX_IGNORED]))

    def _sides(self, data: _Pairs, limit: int, ignored: dict[str, None]) -> tuple[list[_Pairs], list[_Pairs]]:
        found: dict[str, Any] = {}
        for key, value in data:
            if key not in ("user", "candidates"):
                ignored[key] = None
            elif key in found:
                raise RequestError(f"has the key {key!r} twice")
            else:
                found[key] = value
        user, candidates = found.get("user"), found.get("candidates")
        if not isinstance(candidates, list) or isinstance(candidates, _Pairs):
            raise RequestError("has no list of candidates", fix='give "candidates": [{..}, ..]')
        if len(candidates) > limit:
            raise RequestError(f"has more than {limit} candidates", fix="send fewer at a time")
        for number, candidate in enumerate(candidates, 1):
            if not isinstance(candidate, _Pairs):
                raise RequestError("is not an object", candidate=number)
        if user is not None and not isinstance(user, _Pairs):
            raise RequestError("the user is not an object")
        return [] if user is None else [user], candidates

    def _columns(self, side: Sequence[_Pairs], ignored: dict[str, None], *, numbered: bool) -> dict[str, pa.Array]:
        cells: dict[str, list[Any]] = {}
        for row, pairs in enumerate(side):
            seen = set()
            for key, value in pairs:
                if key not in self._kinds:
                    ignored[key] = None
                    continue
                place: dict[str, Any] = {"candidate": row + 1 if numbered else None, "column": key}
                if key in seen:
                    raise RequestError("is given twice", **place)
                seen.add(key)
                cells.setdefault(key, [None] * len(side))[row] = _cell(value, self._kinds[key], place)
        return {key: _array(key, values) for key, values in cells.items()}


def _parse(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
        outside = _STRING.sub("", text)
        depth = deepest = 0
        for char in re.findall(r"[\[{\]}]", outside):
            depth += 1 if char in "[{" else -1
            deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            raise RequestError(f"is nested deeper than {MAX_DEPTH}")
        _check_surrogates(text)
        decoder = json.JSONDecoder(
            object_pairs_hook=_Pairs, parse_int=_Whole, parse_float=_Fraction, parse_constant=_no_constant
        )
        return decoder.decode(text)
    except UnicodeDecodeError as error:
        raise RequestError(f"byte {error.start}: is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"is not JSON: {error}") from None


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


def _check_surrogates(text: str) -> None:
    """Half a surrogate pair stands for no character."""
    high = -1  # where the low half of a pair must begin
    for match in _ESCAPE.finditer(text):
        code = int(match[1], 16) if match[1] else 0
        low = 0xDC00 <= code < 0xE000
        if low != (high == match.start()) or (high >= 0 and not low):
            raise ValueError("half a surrogate pair")
        high = match.end() if 0xD800 <= code < 0xDC00 else -1
    if high >= 0:
        raise ValueError("half a surrogate pair")


def _cell(value: Any, kind: str, place: Mapping[str, Any]) -> Any:
    if isinstance(value, _Pairs):
        raise RequestError("is an object", **place, fix="give text, a number, true, false or null")
    if not isinstance(value, list):
        return value if isinstance(value, bool | None) else _text(value, place)
    if kind != "list":
        raise RequestError("is a list", **place, fix="give one value")
    if any(isinstance(each, list) for each in value):
        raise RequestError("is a list of lists or objects", **place, fix="give a list of values")
    return [_text(each, place) for each in value]


def _text(value: Any, place: Mapping[str, Any]) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _Whole):
        return "0" if value == "-0" else str(value)
    number = float(value)
    if abs(number) == float("inf"):
        raise RequestError("is too large for a number", **place, value=str(value))
    return str(int(number)) if abs(number) < 2**63 and number == int(number) else repr(number)


def _array(name: str, cells: list[Any]) -> pa.Array:
    """Null, text and booleans; or null and lists of text."""
    given = [cell for cell in cells if cell is not None]
    lists = [isinstance(cell, list) for cell in given]
    if any(lists):
        if not all(lists):
            raise RequestError("holds lists and single values", column=name, fix="give one or the other")
        return pa.array(cells, pa.list_(pa.string()))
    if given and all(isinstance(cell, bool) for cell in given):
        return pa.array(cells, pa.bool_())
    return pa.array([_text(cell, {}) for cell in cells], pa.string())
