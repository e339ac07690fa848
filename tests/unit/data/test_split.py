from __future__ import annotations

import numpy as np
import pytest

from clickwise.data.split import TEST, TRAIN, VALID, EveryRowTrains, HashSplit, TimeHistogram, row_hash, time_format
from clickwise.features import DateTimePart, Vocabulary
from clickwise.schema import Feature, Schema

HOUR_US = 3_600_000_000


def histogram(times, max_bins=1 << 20, chunk=None):
    counted = TimeHistogram(max_bins)
    for start in range(0, len(times), chunk or len(times)):
        counted.update(times[start : start + (chunk or len(times))])
    counted.fold()
    return counted


def shares(split, times):
    parts = split.parts(times, 0, np.arange(len(times)))
    return [float(np.mean(parts == part)) for part in (TRAIN, VALID, TEST)]


def test_the_last_rows_by_time_validate_and_the_very_last_test():
    times = np.random.default_rng(0).permutation(1000).astype(np.int64) * HOUR_US
    split = histogram(times).split("t", 0.2, 0.1)
    assert shares(split, times) == pytest.approx([0.7, 0.2, 0.1])
    parts = split.parts(times, 0, np.arange(1000))
    assert times[parts == TRAIN].max() < times[parts == VALID].min()
    assert times[parts == VALID].max() < times[parts == TEST].min()
    assert split.valid_from == 700 * HOUR_US
    assert split.test_from == 900 * HOUR_US


def test_the_words_name_column_boundaries_and_shares():
    times = np.arange(24, dtype=np.int64) * HOUR_US
    words = histogram(times).split("hour", 0.25, 0.25).in_words()
    assert words == (
        "by time (hour): validation from 1970-01-01 12:00:00, test from 1970-01-01 18:00:00 "
        "(asked for 25 % validation and 25 % test; got 25 % validation and 25 % test)"
    )


def test_rows_of_equal_time_never_straddle():
    times = np.repeat(np.arange(3, dtype=np.int64) * HOUR_US, [10, 80, 10])
    split = histogram(times).split("t", 0.3, 0.0)
    assert shares(split, times) == [0.9, 0.1, 0.0]
    assert split.got[0] == pytest.approx(0.1)


def test_only_test_or_only_validation():
    times = np.arange(10, dtype=np.int64)
    assert shares(histogram(times).split("t", 0.0, 0.3), times) == pytest.approx([0.7, 0, 0.3])
    assert shares(histogram(times).split("t", 0.3, 0.0), times) == pytest.approx([0.7, 0.3, 0])


def test_every_part_gets_rows_even_when_a_time_is_too_big_for_it():
    times = np.repeat(np.arange(3, dtype=np.int64), [1, 1, 98])
    assert shares(histogram(times).split("t", 0.1, 0.1), times) == pytest.approx([0.01, 0.01, 0.98])


def test_too_few_times_cannot_be_split():
    assert histogram(np.zeros(5, np.int64)).split("t", 0.1, 0.0) is None
    assert histogram(np.array([0, 1])).split("t", 0.1, 0.1) is None
    assert histogram(np.array([0, 1])).split("t", 0.1, 0.0) is not None


@pytest.mark.parametrize("chunk", [1, 7, 100, 5000])
def test_a_histogram_with_few_bins_is_the_same_whatever_the_chunks(chunk):
    times = np.random.default_rng(1).integers(-(10**15), 10**15, 5000)
    whole, pieces = histogram(times, 300), histogram(times, 300, chunk)
    assert (whole.shift, whole.bins.tolist(), whole.counts.tolist()) == (
        pieces.shift,
        pieces.bins.tolist(),
        pieces.counts.tolist(),
    )
    assert len(whole.bins) <= 300
    assert whole.counts.sum() == 5000
    assert shares(whole.split("t", 0.2, 0.1), times) == pytest.approx([0.7, 0.2, 0.1], abs=0.01)


def test_hash_split_takes_the_shares_and_keeps_rows_where_they_are():
    row = np.arange(1, 200_001)
    split = HashSplit(0.2, 0.1, 0, "no time column")
    parts = split.parts(None, 0, row)
    assert np.bincount(parts) / len(row) == pytest.approx([0.7, 0.2, 0.1], abs=0.005)
    assert (split.parts(None, 0, row[5:50]) == parts[5:50]).all()
    assert np.mean(HashSplit(0.2, 0.1, 1, "").parts(None, 0, row) == parts) < 0.7
    assert np.mean(split.parts(None, 1, row) == parts) < 0.7
    assert split.in_words() == "by a hash of the row's place, seed 0 (no time column): 20 % validation and 10 % test"


def test_row_hash_never_changes():
    assert [hex(int(h)) for h in row_hash(0, 0, np.array([1, 2]))] == [hex(int(h)) for h in naive_hash(0, 0, [1, 2])]
    assert [int(h) for h in row_hash(7, 3, np.array([9]))] == naive_hash(7, 3, [9])


def naive_hash(seed, file_index, rows):
    def mix(x):
        x = (x + 0x9E3779B97F4A7C15) % 2**64
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    return [mix(mix(mix(seed) ^ file_index) ^ row) for row in rows]


def test_every_row_trains():
    split = EveryRowTrains()
    assert split.parts(None, 0, np.arange(3)).tolist() == [TRAIN] * 3
    assert split.in_words() == "no rows held out"


def test_time_format_is_that_of_a_feature_on_the_time_column():
    def feature(name, column, config):
        return Feature(name=name, column=column, config=config)

    hour = feature("h", "t", DateTimePart.Config(part="hour", format="%y%m%d%H"))
    other = feature("o", "u", DateTimePart.Config(part="hour", format="%d"))
    token = feature("v", "t", Vocabulary.Config())
    assert time_format(Schema(label="y", time="t", features=(other, token, hour))) == "%y%m%d%H"
    assert time_format(Schema(label="y", time="t", features=(other, token))) is None


def test_the_schema_says_how_a_time_is_written_that_no_feature_reads():
    assert time_format(Schema(label="y", time="t", time_format="%d.%m.%Y")) == "%d.%m.%Y"
    assert time_format(Schema(label="y", time="t")) is None
