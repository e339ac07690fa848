"""`LiveIndex`: an index that is searched while it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from clickwise.retrieval.item_index import ItemIndex


class LiveIndex:
    """Holds the current one of many versions of an `ItemIndex`.

    A reader takes `current` once and does all of its work with it: searches, ids, attributes then belong together. It
    waits for nobody. Writers wait for each other, so that no update is lost.

    >>> live = LiveIndex(ItemIndex.open("runs/index"))            # doctest: +SKIP
    >>> index = live.current                                      # doctest: +SKIP
    >>> index.ids_of(index.search(queries, 10).rows[0])           # doctest: +SKIP
    """

    def __init__(self, index: ItemIndex) -> None:
        self._index = index
        self._writing = threading.Lock()

    @property
    def current(self) -> ItemIndex:
        """The newest version."""
        return self._index  # one reference, read and replaced in one step

    def swap(self, new: ItemIndex) -> ItemIndex:
        """Put another index in its place, such as one that was built elsewhere; the one before.

        Searches that run end with the one they began with.
        """
        with self._writing:
            old, self._index = self._index, new
            return old

    def update(self, change: Callable[[ItemIndex], ItemIndex]) -> ItemIndex:
        """Replace the current version by what `change` makes of it; the new one. Other writers wait meanwhile."""
        with self._writing:
            self._index = change(self._index)
            return self._index

    def upsert(self, items: Any, vectors: np.ndarray) -> ItemIndex:
        """Add or change items; see `ItemIndex.upserted`."""
        return self.update(lambda index: index.upserted(items, vectors))

    def remove(self, ids: Sequence[str]) -> ItemIndex:
        """Take items out; see `ItemIndex.removed`."""
        return self.update(lambda index: index.removed(ids))

    def compact(self, **how: Any) -> ItemIndex:
        """Build it anew from the items that are there; see `ItemIndex.compacted`. Other writers wait meanwhile."""
        return self.update(lambda index: index.compacted(**how))
