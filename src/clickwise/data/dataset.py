"""The encoded data set: rows of fixed size in a file, read in order or shuffled, in bounded memory.

A row holds everything a training step needs side by side, so a batch is one copy out of one place:

    sparse <i4 [S] | dense <f4 [N] | slot_weight <f4 [S] (only when a field is weighted) | label <f4 | weight <f4
    | group <u8

Rows are read with positioned file reads into one reused window rather than through a memory map: the page cache serves
both equally fast, but mapped pages count as memory of the process, so that an epoch over 20 GB would look like a 20 GB
process (and be killed as one inside a container).
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from clickwise.batch import Batch
from clickwise.errors import DataError
from clickwise.schema import InputSpec

BLOCK_ROWS = 8_192
"""Rows that stay together when an epoch is shuffled: one read of about a megabyte."""
WINDOW_BYTES = 64 << 20
"""Size of the window whose rows are mixed; with the rows handed out it bounds what an epoch holds in memory."""

Scored = tuple[Batch, np.ndarray, np.ndarray, np.ndarray]


def row_dtype(inputs: InputSpec) -> np.dtype:
    """The layout of one encoded row: little-endian, without gaps."""
    slots = ("<f4", (inputs.num_slots,))
    layout: list[tuple] = [("sparse", "<i4", (inputs.num_slots,)), ("dense", "<f4", (inputs.num_dense,))]
    layout += [("slot_weight", *slots)] if inputs.weighted else []
    return np.dtype([*layout, ("label", "<f4"), ("weight", "<f4"), ("group", "<u8")])


class EncodedPart:
    """Encoded rows (train, valid or test) in a file or an array, read as batches.

    The file is opened once and stays open while the part lives: a cache entry deleted meanwhile stays readable.

    Args:
        rows: a file of rows, or an array [n] of `row_dtype(inputs)`.
        inputs: what a row holds.
        weighted: whether the rows have weights of their own; when not, `Batch.weight` is None.
        keep: anything that must live as long as this part, such as a temporary folder.

    Raises:
        DataError: no such file, or its size is not a whole number of rows.
    """

    def __init__(
        self, rows: str | Path | np.ndarray, inputs: InputSpec, *, weighted: bool = True, keep: object = None
    ) -> None:
        self.inputs = inputs
        self.weighted = weighted
        self.dtype = row_dtype(inputs)
        self._keep = keep
        self._array: np.ndarray | None = None
        self._file = -1
        if isinstance(rows, np.ndarray):
            self._array, self._count = np.ascontiguousarray(rows, dtype=self.dtype), len(rows)
            return
        try:
            self._file = os.open(rows, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}", file=str(rows)) from None
        weakref.finalize(self, os.close, self._file)
        self._count, rest = divmod(os.fstat(self._file).st_size, self.dtype.itemsize)
        if rest:
            raise DataError("is damaged: not a whole number of encoded rows", file=str(rows), fix="delete it")

    def __len__(self) -> int:
        return self._count

    @cached_property
    def positives(self) -> int:
        """Rows whose label is 1."""
        windows = self._windows(WINDOW_BYTES // self.dtype.itemsize)
        return sum(int(np.count_nonzero(rows["label"])) for rows in windows)

    def labels(self) -> np.ndarray:
        """The labels, in order.  [n] float32"""
        found = np.empty(len(self), np.float32)
        start = 0
        for rows in self._windows(WINDOW_BYTES // self.dtype.itemsize):
            found[start : start + len(rows)] = rows["label"]
            start += len(rows)
        return found

    def batches(self, batch_size: int, seed: int | None, start: int = 0) -> Iterator[Batch]:
        """Every row exactly once, `batch_size` at a time; the last batch may be shorter.

        With a seed, blocks of `BLOCK_ROWS` rows are put in a seeded random order, and the rows of each window of
        consecutive blocks (`WINDOW_BYTES` in all) are mixed. Memory: one window and a batch. The order depends on the
        seed and the rows alone.

        Args:
            seed: None for the rows in order.
            start: batches to skip, at no cost, to resume an epoch.
        """
        pieces = self._in_order(batch_size, start) if seed is None else self._shuffled(batch_size, seed, start)
        for rows in pieces:
            yield self._batch(rows)

    def scored_batches(self, batch_size: int) -> Iterator[Scored]:
        """For evaluation: each batch in order with its label [B] and weight [B] float32 and group [B] uint64."""
        for rows in self._in_order(batch_size, 0):
            yield self._batch(rows), rows["label"].copy(), rows["weight"].copy(), rows["group"].copy()

    def _batch(self, rows: np.ndarray) -> Batch:
        names = ["sparse", "dense", "slot_weight", "label", "weight"]
        absent = [] if self.weighted else ["weight"]
        absent += [] if self.inputs.weighted else ["slot_weight"]
        copies = {name: rows[name].copy() for name in names if name not in absent}  # the window is reused
        return Batch.of(**copies)

    def _in_order(self, batch_size: int, start: int) -> Iterator[np.ndarray]:
        per_window = max(1, BLOCK_ROWS // batch_size) * batch_size  # a window is whole batches: none straddles two
        for rows in self._windows(per_window, start * batch_size):
            for i in range(0, len(rows), batch_size):
                yield rows[i : i + batch_size]

    def _shuffled(self, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
        """Rows [<= batch_size] of the shuffled order, from batch `start` on."""
        blocks = -(-len(self) // BLOCK_ROWS)
        order = np.random.default_rng([seed, 0]).permutation(blocks)
        per_window = max(1, WINDOW_BYTES // (BLOCK_ROWS * self.dtype.itemsize))
        skip = start * batch_size
        left = np.empty(0, self._bytes)  # rows of the last window that did not fill a batch
        buffer = np.empty(min(len(self), per_window * BLOCK_ROWS), self._bytes)
        for window, first in enumerate(range(0, blocks, per_window)):
            chosen = order[first : first + per_window]
            count = int(np.minimum(BLOCK_ROWS, len(self) - chosen * BLOCK_ROWS).sum())
            if skip >= count:
                skip -= count
                continue
            self._read_blocks(chosen, buffer)
            self._will_need(order[first + per_window : first + 2 * per_window])
            mixed = np.random.default_rng([seed, 1, window]).permutation(count)[skip:]
            skip, at = 0, 0
            while at + batch_size - len(left) <= len(mixed):
                taken = buffer[mixed[at : at + batch_size - len(left)]]
                at += batch_size - len(left)
                yield (np.concatenate([left, taken]) if len(left) else taken).view(self.dtype)
                left = left[:0]
            left = np.concatenate([left, buffer[mixed[at:]]])
        if len(left):
            yield left.view(self.dtype)

    @property
    def _bytes(self) -> np.dtype:
        """A row as one opaque value: NumPy gathers these with one copy of memory a row, not one a column."""
        return np.dtype((np.void, self.dtype.itemsize))

    def _read_blocks(self, chosen: np.ndarray, buffer: np.ndarray) -> None:
        """Fill `buffer` with the chosen blocks, neighbours in the file read together, so in the order of the file."""
        at = 0
        for block in np.sort(chosen):
            count = min(BLOCK_ROWS, len(self) - int(block) * BLOCK_ROWS)
            self._read(int(block) * BLOCK_ROWS, buffer[at : at + count])
            at += count

    def _windows(self, rows: int, first: int = 0) -> Iterator[np.ndarray]:
        """The rows from `first` on, `rows` at a time, each window valid until the next."""
        rows = max(1, min(rows, len(self) - first))
        buffer = np.empty(rows, self._bytes)
        for start in range(first, len(self), rows):
            count = min(rows, len(self) - start)
            self._read(start, buffer[:count])
            yield buffer[:count].view(self.dtype)

    def _read(self, start: int, into: np.ndarray) -> None:
        if self._array is not None:
            into[:] = self._array[start : start + len(into)].view(self._bytes)
            return
        target, position = into.view(np.uint8).data, start * self.dtype.itemsize
        while len(target):
            got = os.preadv(self._file, [target], position)
            if got == 0:
                raise DataError("the encoded rows were cut short while they were being read", fix="run again")
            target, position = target[got:], position + got

    def _will_need(self, blocks: np.ndarray) -> None:
        """Tell the kernel which blocks come next, so that a cold disk reads while the model computes."""
        if sys.platform != "linux" or self._array is not None:
            return
        size = BLOCK_ROWS * self.dtype.itemsize
        for block in blocks:
            os.posix_fadvise(self._file, int(block) * size, size, os.POSIX_FADV_WILLNEED)
