from __future__ import annotations

import numpy as np
import pyarrow as pa

from clickwise.retrieval.seen import SeenItems


def test_lists_are_those_of_each_user_once_and_sorted() -> None:
    seen = SeenItems(
        [
            (pa.array(["a", "b", None, "a"]), np.array([5, 2, 9, 3])),
            (pa.array(["a", "c", "b"]), np.array([5, -1, 7])),  # again; an item that is not in the catalogue
        ]
    )
    lists = seen.of(pa.array(["b", "new", "a", None, "c", "b", ""]))
    assert [rows.tolist() for rows in lists] == [[2, 7], [], [3, 5], [], [], [2, 7], []]


def test_nothing_was_seen() -> None:
    assert [rows.tolist() for rows in SeenItems([]).of(pa.array(["a", None]))] == [[], []]
