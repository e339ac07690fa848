"""`Lookups`: what the stores add to a request, for the entities whose keys it has."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.errors import BundleError, ConfigError, DataError, RequestError
from clickwise.features.arrays import text_buffers
from clickwise.features.pipeline import Encoded, FeaturePipeline
from clickwise.features.tokens import to_tokens
from clickwise.features.transform import BadCells
from clickwise.serving.features.layout import Found, Layout, layouts_of
from clickwise.serving.features.store import Stores

Columns = Mapping[str, pa.Array]


class LookedUp(NamedTuple):
    """How a look-up went, for the metrics.

    Args:
        entity: its name.
        known: keys that were found.
        unknown: keys that were not; of these, `refused` were there and could not be used.
        reached: the store answered in time.
        seconds: it took.
        age_s: of the oldest value that was found; None: none was.
    """

    entity: str
    known: int
    unknown: int
    refused: int
    reached: bool
    seconds: float
    age_s: float | None


class Stored(NamedTuple):
    """What a look-up found, to be laid over the rows of a request.

    Args:
        layout: which slots and numbers it is.
        rows: [n] or, of the user, [1] rows of them.
        sent: features of which cells were sent, which win: [n] or [1] bool, by name.
        looked_up: how it went.
    """

    layout: Layout
    rows: Encoded
    sent: Mapping[str, np.ndarray]
    looked_up: LookedUp

    @property
    def whole(self) -> frozenset[str]:
        """Features of which nothing was sent."""
        return frozenset(self.layout.names) - self.sent.keys()

    def lay_over(self, rows: Encoded) -> None:
        """Write the features into whole rows [n], crosses not yet made, where nothing was sent for them."""
        slots, numbers = self.layout.slots, self.layout.numbers
        inputs = self.layout.part.inputs
        own_slots = self._own([(field.name, field.length) for field in inputs.fields])
        own_numbers = self._own([(name, 1) for name in inputs.dense])
        _lay(rows.sparse, slots, self.rows.sparse, own_slots)
        _lay(rows.dense, numbers, self.rows.dense, own_numbers)
        if rows.slot_weight is not None and self.rows.slot_weight is not None:
            _lay(rows.slot_weight, slots, self.rows.slot_weight, own_slots)

    def _own(self, widths: Sequence[tuple[str, int]]) -> np.ndarray | None:
        """[n or 1, columns] where nothing was sent; None: nowhere anything was."""
        if not any(name in self.sent for name, _ in widths):
            return None
        nothing = np.zeros(1, bool)
        sent = np.broadcast_arrays(*(self.sent.get(name, nothing) for name, _ in widths))
        return ~np.repeat(np.stack(sent, 1), [width for _, width in widths], 1)


class Lookups:
    """Of one version.

    Args:
        pipeline: its features.
        digest: of their files.
        stores: entities that may be looked up, and where.

    Raises:
        BundleError: an entity does not fit the features.
    """

    def __init__(self, pipeline: FeaturePipeline, digest: str, stores: Stores) -> None:
        try:
            self.layouts = layouts_of(stores.entities, pipeline, digest)
        except ConfigError as error:
            raise BundleError(str(error)) from None
        self._stores = stores.by_name

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name entities."""
        return tuple(dict.fromkeys(layout.entity.key for layout in self.layouts))

    def check(self) -> None:
        """See that the stores have values of this version.

        Raises:
            BundleError: one has values of other versions alone, or is damaged.
        """
        for layout in self.layouts:
            self._stores[layout.entity.name].check(layout)

    def find(self, user: Columns, candidates: Columns, until_s: float) -> list[Stored]:
        """One look-up for each entity whose key a request has, unless all that it gives was sent too.

        Args:
            user: columns of one row.
            candidates: columns of n.
            until_s: when the stores must have answered, on the clock of `time.perf_counter`.

        Raises:
            RequestError: a key that cannot be read.
        """
        found = []
        for layout in self.layouts:
            key = layout.entity.key
            side = candidates if key in candidates else user
            sent = _sent(layout, user, candidates)
            needed = any(name not in sent or not sent[name].all() for name in layout.names)
            if key in side and needed:
                keys = _text(side[key], key)
                began = time.perf_counter()
                values = self._stores[layout.entity.name].get(layout, keys, until_s)
                looked_up = _told(layout, keys, values, time.perf_counter() - began)
                found.append(Stored(layout, values.rows, sent, looked_up))
        return found


def _sent(layout: Layout, user: Columns, candidates: Columns) -> dict[str, np.ndarray]:
    """Of each feature of which a cell was sent, where: [n] bool, or [1] if it is the user's."""
    found: dict[str, np.ndarray] = {}
    for name, columns in layout.columns_of.items():
        for column in columns:
            side = candidates if column in candidates else user
            if column in side:
                cells = side[column]
                there = _given(cells)
                if there.any():
                    found[name] = found[name] | there if name in found else there
    return found


def _given(cells: pa.Array) -> np.ndarray:
    """Where a cell holds something [n] bool; NaN and empty text are what those send who cannot send a null."""
    there = cells.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(cells.type):
        return there & ~np.isnan(cells.to_numpy(zero_copy_only=False))
    if pa.types.is_string(cells.type):
        return there & (np.diff(text_buffers(cells)[1]) > 0)
    return there


def _text(cells: pa.Array, column: str) -> pa.Array:
    """Keys as text, as they were when they were loaded."""
    if pa.types.is_string(cells.type):
        return cells
    try:
        return to_tokens(cells).dictionary_decode()
    except BadCells as bad:
        raise RequestError(bad.cells[0].problem, column=column, value=bad.cells[0].value) from None
    except DataError as error:
        raise RequestError(str(error), column=column) from None


def _told(layout: Layout, keys: pa.Array, found: Found, seconds: float) -> LookedUp:
    given = int(np.count_nonzero(pc.fill_null(pc.binary_length(keys), 0).to_numpy()))
    known = int(found.known.sum())
    age = time.time() - float(np.nanmin(found.written_s)) if known else None
    return LookedUp(layout.entity.name, known, given - known, found.refused, found.reached, seconds, age)


def _lay(rows: np.ndarray, columns: list[int], values: np.ndarray, own: np.ndarray | None) -> None:
    if columns:
        rows[:, columns] = values if own is None else np.where(own, values, rows[:, columns])
