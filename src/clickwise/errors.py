"""Every error clickwise raises on purpose. Each one is a single line: what, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class ClickwiseError(Exception):
    """Root of the tree. The command line prints it on one line and leaves with exit code 2.

    It crosses a process boundary whole, so that a pool of processes says what went wrong in one of them.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args), self.__dict__


class ConfigError(ClickwiseError):
    """A key of a config, a schema or a command line that is unknown or has a value that is not allowed."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}" if key else problem)
        self.key = key
        self.problem = problem

    def under(self, prefix: str) -> ConfigError:
        """The same error, seen from one level further out."""
        return ConfigError(f"{prefix}.{self.key}" if self.key else prefix, self.problem)


class DataError(ClickwiseError):
    """Data that cannot be read or does not fit its schema: names the file, the row, the column and the value.

    Args:
        problem: what is wrong.
        row: 1-based number of the data row inside the file; a header is not a row.
        fix: what the user can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        fix: str = "",
    ) -> None:
        where = [f"{file}" if file else "", f"row {row}" if row else "", f"column {column!r}" if column else ""]
        if value is not None:
            where.append(f"value {clipped(value)}")
        place = ", ".join(part for part in where if part)
        super().__init__(f"{place + ': ' if place else ''}{problem}{'; ' + fix if fix else ''}")


class BundleError(ClickwiseError):
    """A saved bundle or index that is missing, damaged, something else, or written by another format version."""


class RequestError(ClickwiseError):
    """A request that cannot be read or scored: names the candidate, the column and the value.

    Args:
        problem: what is wrong.
        candidate: its number in the request, from 1 on; None: it is about the user, or about the whole request.
        fix: what the caller can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        candidate: int | None = None,
        column: str | None = None,
        value: object = None,
        fix: str = "",
    ) -> None:
        where = [f"candidate {candidate}" if candidate else "", f"column {clipped(column)}" if column else ""]
        if value is not None:
            where.append(f"value {clipped(value)}")
        place = ", ".join(part for part in where if part)
        super().__init__(f"{place + ': ' if place else ''}{problem}{'; ' + fix if fix else ''}")
        self.candidate, self.column = candidate, column


class MissingExtraError(ClickwiseError):
    """An optional dependency is not installed; the message names the extra to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional dependency; install it with: pip install 'clickwise[{extra}]'")


class ClickwiseWarning(UserWarning):
    """Something a user should know that did not stop the work."""


def _made_again(kind: type[ClickwiseError], args: tuple[Any, ...]) -> ClickwiseError:
    return kind.__new__(kind, *args)


def clipped(value: object, limit: int = 80) -> str:
    """`repr(value)`, cut to `limit` characters so that one bad cell cannot fill a screen."""
    text = repr(value[: limit + 1]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def nearest(word: str, options: Iterable[str]) -> str:
    """`" (did you mean 'x'?)"` for the closest of `options`, or nothing when none is close.

    >>> nearest("lable", ["label", "weight"])
    " (did you mean 'label'?)"
    """
    close = difflib.get_close_matches(word, list(options), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
