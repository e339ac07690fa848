"""`FeatureStore`: finds encoded values by key; and what fills one. One class a kind."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.errors import BundleError
from clickwise.features.arrays import text_buffers
from clickwise.serving.features.entity import MAX_KEY_BYTES, Entity
from clickwise.serving.features.layout import Found, Layout


class Writer(ABC):
    """Takes records in while a store is being loaded."""

    @abstractmethod
    def write(self, keys: pa.Array, records: np.ndarray) -> None:
        """Records [n] of keys [n], text; what comes later of the same key wins.

        Raises:
            DataError: the store cannot be written to.
        """


class FeatureStore(ABC):
    """Values of any number of layouts: each is told apart by its stamp, so that versions that encode differently stand
    side by side. May be used by several threads.

    Attributes:
        place: what to call it in messages; without a password.
    """

    place: str

    def get(self, layout: Layout, keys: pa.Array, until_s: float = float("inf")) -> Found:
        """What is known of keys.

        Args:
            keys: [n] text; null, empty or longer than `MAX_KEY_BYTES`: no key, which is unknown.
            until_s: when the answer must be there, on the clock of `time.perf_counter`; what is not is unknown.
        """
        found = self._get(layout, _short(keys), until_s)
        if not layout.entity.ttl_s:
            return found
        expired = found.written_s < time.time() - layout.entity.ttl_s
        return layout.forget(found, expired) if expired.any() else found

    @abstractmethod
    def _get(self, layout: Layout, keys: pa.Array, until_s: float) -> Found:
        """The same, however old the values are."""

    @abstractmethod
    def stamps(self, entity: str) -> set[bytes]:
        """Stamps of the layouts that values of an entity were loaded of; none where the store cannot be reached."""

    @abstractmethod
    def refresh(self) -> None:
        """See what was loaded meanwhile, where `get` alone does not."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    def check(self, layout: Layout) -> None:
        """Refuse a layout that nothing was loaded of, where something was of another: every key would be unknown.

        Raises:
            BundleError: says what to load.
        """
        there = self.stamps(layout.entity.name)
        if there and layout.stamp not in there:
            name = layout.entity.name
            raise BundleError(
                f"{self.place}: its values of the entity {name!r} were encoded by other features than this version's; "
                f"`clickwise features load FILE --entity {name} --version VERSION` with this version first"
            )


class Stores(NamedTuple):
    """Entities, and the store of each by its name."""

    entities: tuple[Entity, ...] = ()
    by_name: Mapping[str, FeatureStore] = MappingProxyType({})

    def refresh(self) -> None:
        """See what was loaded meanwhile."""
        for store in self.by_name.values():
            store.refresh()


NO_STORES = Stores()


class Loader(ABC):
    """Fills a store.

    Attributes:
        place: what to call it in messages; without a password.
    """

    place: str

    @abstractmethod
    def loading(self, layout: Layout) -> AbstractContextManager[Writer]:
        """Values that are written until the block ends well; what readers see meanwhile is up to the kind.

        Raises:
            DataError: the store cannot be written to.
        """


def _short(keys: pa.Array) -> pa.Array:
    """The keys, those that are too long being null."""
    lengths = np.diff(text_buffers(keys)[1])
    if lengths.max(initial=0) <= MAX_KEY_BYTES:
        return keys
    return pc.if_else(pa.array(lengths <= MAX_KEY_BYTES), keys, None)
