"""`SeenItems`: which items each user of a log has, so that they are not recommended again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from clickwise.features.xxh64 import xxh64
from clickwise.retrieval.held_out import RowLists


class SeenItems:
    """Lists of item rows by user. It holds fingerprints and no names: two of a million users share one with
    probability 3e-8.

    Args:
        pairs: pieces of a log: users [n] (text; null: nobody) and rows of items [n] int64, -1 for an unknown item.
    """

    def __init__(self, pairs: Iterable[tuple[pa.Array, np.ndarray]]) -> None:
        found = [
            (xxh64(users.drop_null(), 0), rows[users.is_valid().to_numpy(zero_copy_only=False)])
            for users, rows in pairs
        ]
        prints, rows = (np.concatenate(part) for part in zip(*found, strict=True)) if found else (_NONE, _NONE)
        self._users, which = np.unique(prints, return_inverse=True)
        self._lists = RowLists.of(which, rows.astype(np.int64), len(self._users))

    def of(self, users: pa.Array) -> list[np.ndarray]:
        """The rows of the items that each of `users` [n] has, none for one who is not known."""
        prints = xxh64(users.fill_null(""), 0)
        at = np.searchsorted(self._users, prints)
        known = (at < len(self._users)) & users.is_valid().to_numpy(zero_copy_only=False)
        known[known] = self._users[at[known]] == prints[known]
        lists = self._lists.take(at[known])
        found = iter(np.split(lists.rows, lists.start[1:-1]))
        return [next(found) if there else np.empty(0, np.int64) for there in known.tolist()]


_NONE = np.empty(0, np.uint64)
