"""Which rows train when the last of each user are held out: one to test on, the one before to validate on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickwise.data.split import TEST, TRAIN, VALID, Split

_FOLD_AT = 1 << 20
_FILE_BITS = np.uint64(40)
FEWEST = 3
"""Users with fewer rows only train."""


@dataclass(frozen=True, slots=True)
class LeaveLastOut(Split):
    """The last row of each user with at least three rows tests, the one before validates, all others train.

    Args:
        column: that names the user.
        order: what "last" means, in words.
        valid, test: places of the rows, rising; see `places`.
    """

    column: str
    order: str
    valid: np.ndarray
    test: np.ndarray

    def parts(self, times: np.ndarray | None, file_index: int, row: np.ndarray) -> np.ndarray:
        at = places(file_index, row)
        part = np.full(len(row), TRAIN, np.uint8)
        part[_inside(self.valid, at)] = VALID
        part[_inside(self.test, at)] = TEST
        return part

    def in_words(self) -> str:
        validate = f"validation on the row before ({len(self.valid):,})" if len(self.valid) else "none for validation"
        return f"the last row of each {self.column} by {self.order} for test ({len(self.test):,}), {validate}"


class LastRows:
    """The last two rows of each user, in memory that grows with the users: 36 bytes each."""

    def __init__(self) -> None:
        self._users, self._times, self._places = np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.uint64)
        self._counts = np.empty(0, np.int64)  # of the user's rows, in each of their rows
        self._pending: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def update(self, users: np.ndarray, times: np.ndarray, at: np.ndarray) -> None:
        """Take in rows.

        Args:
            users: [n] uint64; 0 where the user is not known: such rows only train.
            times: [n] int64; among equal times the later place is the later row.
            at: [n] uint64 `places`.
        """
        known = users != 0
        self._pending.append((users[known], times[known], at[known]))
        if sum(len(piece[0]) for piece in self._pending) > max(_FOLD_AT, len(self._users)):
            self._fold()

    def split(self, column: str, order: str, *, validate: bool) -> LeaveLastOut:
        """What the rows so far say; without `validate` only the last row of each user is held out."""
        self._fold()
        last = np.append(self._users[1:] != self._users[:-1], True) if len(self._users) else np.zeros(0, bool)
        enough = self._counts >= FEWEST
        valid = np.sort(self._places[enough & ~last]) if validate else np.empty(0, np.uint64)
        return LeaveLastOut(column, order, valid, np.sort(self._places[enough & last]))

    def _fold(self) -> None:
        """Keep the last two rows of each user."""
        users, times, at = (
            np.concatenate(part) for part in zip((self._users, self._times, self._places), *self._pending, strict=True)
        )
        known = np.unique(self._users, return_index=True)
        self._pending = []
        everyone, inverse, rows = np.unique(users, return_inverse=True, return_counts=True)
        before = np.zeros(len(everyone), np.int64)  # rows counted so far, less those of them that are still here
        here = np.bincount(np.searchsorted(everyone, self._users), minlength=len(everyone)).astype(np.int64)
        before[np.searchsorted(everyone, known[0])] = self._counts[known[1]]
        counts = before - here + rows
        order = np.lexsort((at, times, users))
        from_last = np.cumsum(rows)[inverse[order]] - 1 - np.arange(len(order))  # 0: the user's last row
        kept = order[from_last < 2]
        self._users, self._times, self._places, self._counts = users[kept], times[kept], at[kept], counts[inverse[kept]]


def places(file_index: int, row: np.ndarray) -> np.ndarray:
    """A number for the place of each row, rising through files and rows.  [n] uint64"""
    return (np.uint64(file_index) << _FILE_BITS) + row.astype(np.uint64)


def _inside(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `wanted` [n] are in `ordered`."""
    if not len(ordered):
        return np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.asarray(ordered[at] == wanted)
