"""Transforms against numbers worked out by hand, and against NumPy and the papers' definitions written naively."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import clickwise.features  # noqa: F401  registers the transforms
from clickwise.registry import transforms


def fitted(transform: str, column: list[Any], **settings: Any) -> Any:
    kind = transforms.get(transform)
    config = kind.Config(**settings)
    fit = kind.fit("f", config)
    fit.update(kind.parse(config, pa.array(column)))
    return fit.finish()


def numbers(transform: Any, column: list[Any]) -> list[float]:
    return transform.numbers(transform.parse(transform.config, pa.array(column))).tolist()


def ids(transform: Any, column: list[Any]) -> list[int]:
    return transform.ids(transform.parse(transform.config, pa.array(column)))[:, 0].tolist()


def test_quantile_of_ten_values_in_five_quantiles() -> None:
    quantile = fitted("quantile", [10, 20, 30, 40, 50, 60, 70, 80, 90, 100], num_quantiles=5, missing=-1.0)
    # quantile 1 holds 10 and 20 and gives (1 - 1) / (5 - 1) = 0; quantile 2 holds 30 and 40 and gives 1 / 4; ...
    assert numbers(quantile, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]) == [
        0,
        0,
        0.25,
        0.25,
        0.5,
        0.5,
        0.75,
        0.75,
        1,
        1,
    ]
    assert numbers(quantile, [-5, 29.9, 30.1, 1000, None]) == [0, 0, 0.25, 1, -1]


def test_quantile_of_a_value_that_most_rows_share() -> None:
    quantile = fitted("quantile", [0] * 8 + [1, 2], num_quantiles=10)
    # P(X <= 0) = .8 is the end of quantile 8: 7 / 9; P(X <= 1) = .9: 8 / 9; P(X <= 2) = 1: 9 / 9
    assert numbers(quantile, [-1, 0, 1, 2]) == pytest.approx([0, 7 / 9, 8 / 9, 1])


def test_quantile_is_the_papers_definition() -> None:
    """Cheng et al. 2016: (i - 1) / (n_q - 1) for the quantile i that P(X <= x) falls in: i = ceil(n_q P(X <= x))."""
    values = np.random.default_rng(0).poisson(3, 137).tolist()
    quantile = fitted("quantile", values, num_quantiles=7)
    wanted = [(-(-7 * sum(v <= x for v in values) // 137) - 1) / 6 for x in values]
    assert numbers(quantile, values) == pytest.approx(wanted)


def test_bucket_of_eight_values_in_four() -> None:
    bucket = fitted("bucket", [1, 2, 3, 4, 5, 6, 7, 8], num_buckets=4)
    assert ids(bucket, [1, 2, 3, 4, 5, 6, 7, 8]) == [2, 2, 3, 3, 4, 4, 5, 5]
    assert ids(bucket, [-9, 2.9, 99, None]) == [2, 2, 5, 0]
    assert bucket.field.num_ids == 2 + 4


def test_bucket_of_few_distinct_values_gives_each_its_own() -> None:
    bucket = fitted("bucket", [7] * 90 + [0] * 5 + [3], num_buckets=4)
    assert ids(bucket, [0, 3, 7, 5]) == [2, 3, 4, 3]
    assert bucket.field.num_ids == 2 + 3


def test_bucket_merges_equal_boundaries() -> None:
    bucket = fitted("bucket", [0] * 70 + list(range(1, 31)), num_buckets=10)
    # cuts of 100 ordered values at positions 10, 20, ... 90: six times 0 (the smallest: no cut), then 1, 11, 21
    assert ids(bucket, [0, 1, 10, 11, 20, 21, 30]) == [2, 3, 3, 4, 4, 5, 5]
    middle = fitted("bucket", [*range(-10, 0), *[0] * 80, *range(1, 11)], num_buckets=10)  # cuts: eight times 0, then 1
    assert ids(middle, [-10, -1, 0, 1, 10]) == [2, 2, 3, 4, 4]
    assert middle.field.num_ids == 2 + 3


def test_bucket_at_given_boundaries() -> None:
    bucket = fitted("bucket", [1, 2, 3], boundaries=(18.0, 65.0))
    assert ids(bucket, [17.9, 18, 64, 65, None]) == [2, 3, 3, 4, 0]
    assert bucket.field.num_ids == 2 + 3


def test_standard() -> None:
    standard = fitted("standard", [2, 4, 4, 4, 5, 5, 7, 9, None])  # mean 5, standard deviation 2
    assert numbers(standard, [5, 7, 1, None]) == [0, 1, -2, 0]


def test_log() -> None:
    log = fitted("log", [math.e - 1, -(math.e - 1)], missing=0.25)  # y = 1 and -1: mean 0, standard deviation 1
    assert numbers(log, [0, math.e**2 - 1, 1 - math.e**3, None]) == pytest.approx([0, 2, -3, 0.25])


def test_vocabulary_is_in_order_of_count_then_text() -> None:
    vocabulary = fitted("vocabulary", ["b", "c", "a", "c", "B", "é", "b", "c", "10", "9"])
    # c 3 times, b 2 times; the rest once, in order of their UTF-8 bytes
    assert vocabulary.tokens.to_pylist() == ["c", "b", "10", "9", "B", "a", "é"]
    assert vocabulary.counts.to_pylist() == [3, 2, 1, 1, 1, 1, 1]
    assert ids(vocabulary, ["c", "b", "10", "é", "x", None]) == [2, 3, 4, 8, 1, 0]


def test_hashing_is_pinned() -> None:
    hashing = fitted("hashing", [], num_buckets=1_000_000)
    assert ids(hashing, ["abc", "", "a"]) == [2 + 0x44BC2CF5AD770999 % 10**6, 0, 2 + 0xD24EC4F1A98C6E5B % 10**6]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [("hour", 23), ("weekday", 6), ("day", 30), ("month", 4), ("minute", 59), ("hour_of_week", 167)],
)
def test_datetime_at_the_last_minute_of_a_sunday(part: str, wanted: int) -> None:
    part_of = fitted("datetime", [], part=part)
    assert ids(part_of, ["2020-05-31 23:59:59", "2020-06-01", "1970-01-01", "1969-12-31 23:59"]) == [
        2 + wanted,
        2 + {"month": 5}.get(part, 0),
        2 + {"weekday": 3, "hour_of_week": 72}.get(part, 0),
        2 + {"weekday": 2, "hour_of_week": 71, "month": 11, "day": 30}.get(part, wanted),
    ]
    assert part_of.field.num_ids == 2 + {"hour": 24, "weekday": 7, "day": 31, "month": 12, "minute": 60}.get(part, 168)
