"""Every row exactly once, whatever the size, the batch and the seed."""

from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.data import dataset
from clickwise.data.dataset import EncodedPart, row_dtype
from clickwise.schema import Field, InputSpec

INPUTS = InputSpec(fields=(Field(name="a", num_ids=10**6),))


def part_of(count):
    rows = np.zeros(count, row_dtype(INPUTS))
    rows["sparse"][:, 0] = np.arange(count)
    return EncodedPart(rows, INPUTS)


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(0, 300),
    batch_size=st.integers(1, 90),
    block=st.integers(1, 40),
    window=st.integers(1, 6),
    seed=st.none() | st.integers(0, 2**63),
    start=st.integers(0, 12),
)
def test_every_row_exactly_once_and_resumable(count, batch_size, block, window, seed, start):
    sizes = {"BLOCK_ROWS": block, "WINDOW_BYTES": window * block * row_dtype(INPUTS).itemsize}
    with mock.patch.multiple(dataset, **sizes):
        part = part_of(count)
        batches = [b.sparse[:, 0].tolist() for b in part.batches(batch_size, seed)]
        resumed = [b.sparse[:, 0].tolist() for b in part.batches(batch_size, seed, start)]
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(count))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert resumed == batches[start:]
    if seed is None:
        assert rows == list(range(count))
