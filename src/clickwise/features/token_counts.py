"""Counting distinct tokens of an endless stream in bounded memory."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.features.arrays import codes
from clickwise.native import columns

MAX_DISTINCT = 20_000_000
"""Distinct tokens that are counted exactly. Above it the rarest are dropped."""

_PENDING_ROWS = 1 << 18


class Counter(Protocol):
    """Counts tokens without a bound."""

    def __len__(self) -> int:
        """Distinct tokens."""

    def add(self, tokens: Any, error: int) -> int:
        """Count a chunk; its new tokens get this error. How many distinct tokens it adds at most."""

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Count and error of each token."""

    def tokens(self) -> pa.Array | pa.ChunkedArray:
        """The tokens, in the order of `counts`."""

    def drop(self, floor: int) -> None:
        """Forget the tokens whose count and error together are at most `floor`."""


class TokenCounts:
    """Counts tokens: exact up to `max_distinct` distinct ones, above it by the rule of Lossy Counting.

    Above the bound the rarest tokens are dropped, and `floor` becomes the largest count a dropped token can have had. A
    token that comes (back) later may have been seen up to `floor` times before; this is its `error`. So the true count
    of every token lies between its count and its count + error, and a token that is not there was seen at most `floor`
    times. Unlike the paper, buckets end when memory is full, not after a fixed number of rows.

    Args:
        max_distinct: how many distinct tokens are counted exactly.
        counter: what does the counting; None counts text.

    Reference: Manku and Motwani 2002, "Approximate Frequency Counts over Data Streams", section 4.2.
    """

    def __init__(self, max_distinct: int = MAX_DISTINCT, counter: Counter | None = None) -> None:
        self.floor = 0
        self._max_distinct = max_distinct
        self._counter = _text_counter() if counter is None else counter
        self._settled = 0  # tokens at the last look at the bound, and tokens of the chunks since
        self._pending = 0

    def add(self, tokens: Any) -> None:
        """Count one more chunk of tokens, as the counter takes them: in a form of `to_cells`, unless told otherwise.

        Null and empty are no tokens.
        """
        self._pending += self._counter.add(tokens, self.floor)
        if self._pending > max(_PENDING_ROWS, self._settled // 2):
            self._settle()

    def table(self) -> pa.Table:
        """The tokens with `count` and `error`, in no particular order."""
        self._settle()
        count, error = self._counter.counts()
        return pa.table({"token": self._counter.tokens(), "count": count, "error": error})

    def _settle(self) -> None:
        if not self._pending:
            return
        self._settled, self._pending = len(self._counter), 0
        if self._settled > self._max_distinct:
            self._prune()

    def _prune(self) -> None:
        """Raise the floor until at most half of the bound is left."""
        count, error = self._counter.counts()
        most, keep = count + error, self._max_distinct // 2
        self.floor = int(np.partition(most, len(most) - keep - 1)[len(most) - keep - 1])
        self._counter.drop(self.floor)
        self._settled = len(self._counter)


def _text_counter() -> Counter:
    return columns.Counter() if columns.compiled() else _ArrowCounter()


class _ArrowCounter:
    """The twin of `columns.Counter`: tables that are merged when somebody looks."""

    def __init__(self) -> None:
        self._tables = [_rows(pa.array([], pa.large_string()), np.zeros(0, np.int64), 0)]

    def __len__(self) -> int:
        return self._merged().num_rows

    def add(self, tokens: pa.DictionaryArray, error: int) -> int:
        at = codes(tokens)
        counts = np.bincount(at[at >= 0], minlength=len(tokens.dictionary))
        seen = counts > 0
        distinct = tokens.dictionary if seen.all() else tokens.dictionary.filter(pa.array(seen))
        self._tables.append(_rows(distinct.cast(pa.large_string()), counts[seen], error))
        return len(distinct)

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        merged = self._merged()
        return merged["count"].to_numpy(), merged["error"].to_numpy()

    def tokens(self) -> pa.ChunkedArray:
        return self._merged()["token"]

    def drop(self, floor: int) -> None:
        merged = self._merged()
        self._tables = [merged.filter(pc.greater(pc.add(merged["count"], merged["error"]), floor))]

    def _merged(self) -> pa.Table:
        if len(self._tables) > 1:
            grouped = pa.concat_tables(self._tables).group_by("token", use_threads=False)
            sums = grouped.aggregate([("count", "sum"), ("error", "min")])
            self._tables = [sums.rename_columns({"count_sum": "count", "error_min": "error"})]
        return self._tables[0]


def _rows(tokens: pa.Array, counts: np.ndarray, error: int) -> pa.Table:
    errors = np.full(len(counts), error, np.int64)
    return pa.table({"token": tokens, "count": counts.astype(np.int64), "error": errors})
