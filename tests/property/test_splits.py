"""Splits: the shares asked for, no time in two parts, the same whatever the chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.data.split import TEST, TRAIN, VALID, HashSplit, TimeHistogram

TIMES = st.lists(st.integers(-(10**15), 10**15) | st.integers(0, 20), min_size=1, max_size=200)
SHARE = st.floats(0.01, 0.45)


def histogram(times, chunk, max_bins):
    counted = TimeHistogram(max_bins)
    for start in range(0, len(times), chunk):
        counted.update(times[start : start + chunk])
    return counted


@settings(max_examples=200, deadline=None)
@given(times=TIMES, chunk=st.integers(1, 200), max_bins=st.integers(2, 300), valid=SHARE, test=SHARE)
def test_time_split(times, chunk, max_bins, valid, test):
    times = np.array(times, np.int64)
    split = histogram(times, chunk, max_bins).split("t", valid, test)
    assert split == histogram(times, len(times), max_bins).split("t", valid, test)
    if split is None:
        assert len(np.unique(times)) < 3 or max_bins < 3 or len(np.unique(times)) > max_bins
        return
    parts = split.parts(times, 0, np.arange(len(times)))
    for earlier, later in ((TRAIN, VALID), (VALID, TEST), (TRAIN, TEST)):
        assert times[parts == earlier].max() < times[parts == later].min()
    got = [np.mean(parts == VALID), np.mean(parts == TEST)]
    assert np.allclose(got, split.got)
    if len(np.unique(times)) == len(times) <= max_bins:
        room = 1.01 / len(times)
        assert abs(got[1] - test) <= max(room, 1 / len(times))
        assert abs(got[0] - valid) <= 2 * room


@settings(max_examples=50, deadline=None)
@given(valid=st.floats(0, 0.5), test=st.floats(0, 0.49), seed=st.integers(0, 2**40), file_index=st.integers(0, 1000))
def test_hash_split(valid, test, seed, file_index):
    row = np.arange(1, 20_001)
    split = HashSplit(valid, test, seed, "")
    parts = split.parts(None, file_index, row)
    assert abs(np.mean(parts == VALID) - valid) < 0.025
    assert abs(np.mean(parts == TEST) - test) < 0.025
    cut = 777
    pieces = np.concatenate([split.parts(None, file_index, row[:cut]), split.parts(None, file_index, row[cut:])])
    assert (pieces == parts).all()
