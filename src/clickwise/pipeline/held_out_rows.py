"""From a log of what was chosen to what each query should find: raw rows in, `HeldOut` out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.config import DataConfig
from clickwise.data.labels import read_group
from clickwise.data.plain import check_known
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block, Source
from clickwise.features.arrays import is_list
from clickwise.features.label import read_label
from clickwise.features.sampling import mix64
from clickwise.progress import Progress
from clickwise.retrieval.corpus import positions
from clickwise.retrieval.held_out import HeldOut, joined
from clickwise.schema import Schema


class Numbering:
    """Numbers names 0, 1, ... as they come."""

    def __init__(self) -> None:
        self._names = np.empty(0, np.uint64)  # rising
        self._numbers = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._names)

    def find(self, names: np.ndarray) -> np.ndarray:
        """The number of each of `names` [n] uint64; -1 where it has none.  [n] int64"""
        return np.append(self._numbers, -1)[positions(self._names, names)]

    def new(self, names: np.ndarray) -> np.ndarray:
        """Positions in `names` [n] of those that have no number, each once, where it comes first."""
        at = np.flatnonzero(self.find(names) < 0)
        return np.sort(at[np.unique(names[at], return_index=True)[1]])

    def add(self, names: np.ndarray) -> None:
        """Number `names` [n], distinct and new, in this order."""
        order = np.argsort(names)
        at = np.searchsorted(self._names, names[order])
        self._names = np.insert(self._names, at, names[order])
        self._numbers = np.insert(self._numbers, at, len(self._numbers) + order)


@dataclass(frozen=True, slots=True)
class HeldOutRows:
    """Queries as they came, and what they should find.

    Args:
        queries: [Q] raw rows, the first of each query.
        held_out: by number of query and item.
        popularity: [C] training interactions of each item.
        unnamed: rows that name no item, or no query, and are in nothing.
    """

    queries: pa.RecordBatch
    held_out: HeldOut
    popularity: np.ndarray
    unnamed: int


class HeldOutReader:
    """Reads logs whose rows with label 1 are choices: of a query, an item. All rows are, where there is no label.

    An item is what the column `schema.item` says. A query is what the column `schema.group` says, where every log has
    it, and else its columns together; either way it looks as in its first row. Memory: 16 bytes a row of the held-out
    log, and of the rows of the training log that are of the same queries.

    Args:
        schema: with an item.
        columns: those of a query.
        items: those numbered already, such as those of a catalogue.
        grouped: whether all logs have the group.
        check: reads raw queries, to refuse rows whose cells cannot be read.
        take: takes in items when they get a number; None: no more get one.
    """

    def __init__(
        self,
        schema: Schema,
        columns: Sequence[str],
        items: Numbering,
        *,
        grouped: bool,
        check: Callable[[pa.RecordBatch], object],
        take: Callable[[Sieve, Block], np.ndarray] | None,
    ) -> None:
        assert schema.item is not None
        self._schema, self._item, self._items, self._take, self._check = schema, schema.item, items, take, check
        self._columns = tuple(columns)
        self._group = schema.group if grouped else None
        self._queries, self._rows = Numbering(), list[pa.RecordBatch]()
        self._wanted, self._known = list[tuple[np.ndarray, np.ndarray]](), list[tuple[np.ndarray, np.ndarray]]()
        self._popularity = np.zeros(0, np.int64)
        self._unnamed = 0

    @property
    def num_queries(self) -> int:
        """Q, so far."""
        return len(self._queries)

    def find(self, source: Source, sieve: Sieve, progress: Progress) -> None:
        """Take in the held-out log.

        Raises:
            DataError: a column is missing.
        """
        for block, queries, names in self._choices(source, self._columns, sieve, "read what to find", progress):
            new = self._queries.new(queries)
            if len(new):
                kept, first, _ = sieve.read(_part(block, new), lambda b: self._check(b.data))
                self._queries.add(queries[new][kept])
                self._rows.append(first.data.select(list(self._columns)))
            at = self._queries.find(queries)  # -1 where the first row of a query cannot be read
            self._wanted.append((at[at >= 0], names[at >= 0]))

    def leave_out(self, source: Source, item_columns: Sequence[str], sieve: Sieve, progress: Progress) -> None:
        """Then take in the training log.

        Args:
            item_columns: what `take` reads of it.

        Raises:
            DataError: a column is missing.
        """
        for block, queries, names in self._choices(source, item_columns, sieve, "read what was seen", progress):
            if self._take is not None and len(new := self._items.new(names)):
                self._items.add(names[new][self._take(sieve, _part(block, new))])
            items, at = self._items.find(names), self._queries.find(queries)
            self._popularity = self._of_all_items(self._popularity)
            self._popularity += np.bincount(items[items >= 0], minlength=len(self._items))
            self._known.append((at[at >= 0], items[at >= 0]))

    def finish(self) -> HeldOutRows:
        """What was read, of at least one query."""
        query, names = joined(self._wanted)
        none = (np.empty(0, np.int64), np.empty(0, np.int64))
        known, items = joined([none, *self._known])
        wanted = (query, names, self._items.find(names))
        held_out = HeldOut.of(len(self._queries), len(self._items), wanted, (known, items))
        rows = pa.Table.from_batches(self._rows).combine_chunks().to_batches()[0]
        return HeldOutRows(rows, held_out, self._of_all_items(self._popularity), self._unnamed)

    def _of_all_items(self, counts: np.ndarray) -> np.ndarray:
        """Counts of items by number, 0 for those that came since."""
        return np.concatenate([counts, np.zeros(len(self._items) - len(counts), np.int64)])

    def _choices(
        self, source: Source, more: Sequence[str], sieve: Sieve, stage: str, progress: Progress
    ) -> Iterator[tuple[Block, np.ndarray, np.ndarray]]:
        """Blocks of the rows with label 1, with the names of their queries [n] and items [n] uint64."""
        identity = [self._group] if self._group else self._columns
        schema = self._schema
        roles = [role for role in (schema.label, self._item) if role]
        columns = list(dict.fromkeys([*roles, *identity, *more]))
        check_known(columns, list(source.columns()), source.name)
        for block in sieve.blocks(source, columns, stage, progress):
            if schema.label:
                _, block, label = sieve.read(block, lambda b: read_label(b.data.column(schema.label), schema))
                block = block.keep(label > 0.5)
            items = names_of_items(block.data.column(self._item))
            queries = self._names_of_queries(block.data, identity)
            named = (items != 0) & (queries != 0)
            self._unnamed += len(block) - int(named.sum())
            yield block.keep(named), queries[named], items[named]

    def _names_of_queries(self, data: pa.RecordBatch, identity: Sequence[str]) -> np.ndarray:
        """[n] uint64; 0 where the group is missing."""
        if self._group:
            return read_group(data.column(self._group))
        found = np.zeros(data.num_rows, np.uint64)
        for name in identity:
            found = mix64((found ^ _cells(data.column(name))) + np.uint64(0x9E3779B97F4A7C15))
        return found


@contextmanager
def sieve_of_log(config: DataConfig, quarantine: str | None) -> Iterator[Sieve]:
    """For the rows of one log: too many that cannot be read are an error at its end."""
    with QuarantineFile(quarantine) as file:
        sieve = Sieve(file)
        yield sieve
        sieve.check(config.max_bad_fraction)


def names_of_items(column: pa.Array) -> np.ndarray:
    """A hash of each item's id, as text; 0 where it is missing.  [n] uint64"""
    return read_group(column)


def _part(block: Block, at: np.ndarray) -> Block:
    """The rows at the rising positions `at`."""
    mask = np.zeros(len(block), bool)
    mask[at] = True
    return block.keep(mask)


def _cells(column: pa.Array) -> np.ndarray:
    """A hash of each cell; of a list, of its values in their order.  [n] uint64"""
    if not is_list(column.type):
        return read_group(column)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = read_group(column.flatten())
    start = np.cumsum(lengths) - lengths
    place = np.arange(len(values)) - np.repeat(start, lengths)
    mixed = mix64(values + mix64(place.astype(np.uint64) + np.uint64(1)))
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    return total[start + lengths] - total[start] + lengths.astype(np.uint64)
