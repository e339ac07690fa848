"""Counting distinct tokens of an endless stream in bounded memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.features.arrays import codes

MAX_DISTINCT = 20_000_000
"""Distinct tokens that are counted exactly. Above it the rarest are dropped."""

_PENDING_ROWS = 1 << 18


class TokenCounts:
    """Counts tokens: exact up to `max_distinct` distinct ones, above it by the rule of Lossy Counting.

    Above the bound the rarest tokens are dropped, and `floor` becomes the largest count a dropped token can have had. A
    token that comes (back) later may have been seen up to `floor` times before; this is its `error`. So the true count
    of every token lies between its count and its count + error, and a token that is not there was seen at most `floor`
    times. Unlike the paper, buckets end when memory is full, not after a fixed number of rows.

    Reference: Manku and Motwani 2002, "Approximate Frequency Counts over Data Streams", section 4.2.
    """

    def __init__(self, max_distinct: int = MAX_DISTINCT) -> None:
        self.floor = 0
        self._max_distinct = max_distinct
        self._counted = _rows(pa.array([], pa.large_string()), np.zeros(0, np.int64), 0)
        self._pending: list[pa.Table] = []
        self._pending_rows = 0

    def add(self, tokens: pa.DictionaryArray) -> None:
        """Count one more chunk of tokens. Null is no token."""
        at = codes(tokens)
        counts = np.bincount(at[at >= 0], minlength=len(tokens.dictionary))
        seen = counts > 0
        distinct = tokens.dictionary if seen.all() else tokens.dictionary.filter(pa.array(seen))
        self._pending.append(_rows(distinct.cast(pa.large_string()), counts[seen], self.floor))
        self._pending_rows += len(distinct)
        if self._pending_rows > max(_PENDING_ROWS, self._counted.num_rows // 2):
            self._compact()

    def table(self) -> pa.Table:
        """The tokens with `count` and `error`, in no particular order."""
        self._compact()
        return self._counted

    def _compact(self) -> None:
        if not self._pending:
            return
        grouped = pa.concat_tables([self._counted, *self._pending]).group_by("token", use_threads=False)
        sums = grouped.aggregate([("count", "sum"), ("error", "min")])
        self._counted = sums.rename_columns({"count_sum": "count", "error_min": "error"})
        self._pending, self._pending_rows = [], 0
        if self._counted.num_rows > self._max_distinct:
            self._prune()

    def _prune(self) -> None:
        """Raise the floor until at most half of the bound is left."""
        most = pc.add(self._counted["count"], self._counted["error"]).to_numpy()
        keep = self._max_distinct // 2
        self.floor = int(np.partition(most, len(most) - keep - 1)[len(most) - keep - 1])
        self._counted = self._counted.filter(pa.array(most > self.floor))


def _rows(tokens: pa.Array, counts: np.ndarray, error: int) -> pa.Table:
    errors = np.full(len(counts), error, np.int64)
    return pa.table({"token": tokens, "count": counts.astype(np.int64), "error": errors})
