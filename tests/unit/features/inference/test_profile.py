from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from clickwise.features.inference.profile import profile
from clickwise.features.inference.quantities import amount_reason


def profile_of(values, name="x", type=None):
    return profile(name, pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values, type)]))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "22", "", "-3"], "integer"),
        (["1.5", "2", "1e3"], "number"),
        (["1.0", "2.0", "0.0"], "number"),
        ([1.0, 2.0, None], "integer"),
        ([1.0, 2.5, None], "number"),
        ([1, 2], "integer"),
        ([True, False], "boolean"),
        (["02139", "10001"], "text"),
        (["a1", "b2"], "text"),
        (["5a9ed9b0", "12345678"], "text"),
        (["2017-11-07 09:30:38", "2017-11-08 00:00:00"], "timestamp"),
        (["2017-11-07", ""], "timestamp"),
        (["2019-11-24 00:00:34.762830+00:00"], "timestamp"),
        ([datetime(2020, 1, 1), None], "timestamp"),
        ([date(2020, 1, 1)], "timestamp"),
        ([["a", "b"], []], "list"),
        ([{"a": 1}], "unsupported"),
        (["", None], "text"),
    ],
)
def test_logical_types(values, kind):
    assert profile_of(values).kind == kind


def test_unix_times_are_told_by_name_and_size():
    assert profile_of([881250949, 891717742], "timestamp").kind == "timestamp"
    assert profile_of(["881250949.0", "891717742.0"], "click_time").kind == "timestamp"
    assert profile_of([881250949, 891717742], "user").kind == "integer"
    assert profile_of([3, 4], "timestamp").kind == "integer"
    seconds, millis = profile_of([1.6e9], "ts").numbers, profile_of([1.6e12], "ts").numbers
    assert seconds.tolist() == millis.tolist() == [1.6e15]


def test_counts_of_values_and_missing_cells():
    found = profile_of(["1", "", None, "2", "1", "nan"])
    assert (found.kind, found.distinct, found.rows, found.present) == ("integer", 2, 6, 3)
    assert found.missing_fraction == 0.5
    assert np.isnan(found.numbers).tolist() == [False, True, True, False, False, True]
    assert found.index[0] == found.index[4] != found.index[3]


def test_a_stray_cell_in_a_column_of_numbers():
    found = profile_of([str(i % 50) for i in range(2000)] + ["n/a"])
    assert (found.kind, found.odd) == ("integer", "n/a")
    assert np.isnan(found.numbers[-1])
    assert profile_of([str(i) for i in range(20)] + ["n/a"]).kind == "text"


def test_separated_text():
    genres = profile_of(["Action|Comedy", "Comedy", "Drama|Action", "Drama"])
    assert (genres.separator, genres.distinct, genres.multi_valued) == ("|", 3, True)
    assert profile_of(["a;b", "b;c", "c;a", "a"]).separator == ";"
    assert profile_of(["Paris, France", "Rome, Italy", "Lyon, France", "Nice, France", "Pisa, Italy"]).separator is None
    assert profile_of(["x|1", "y|2", "z|3"]).separator is None
    assert profile_of(["a"] * 30 + ["b", "a|b"]).separator is None


@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("user_id", False),
        ("ip", False),
        ("C14", False),
        ("age", True),
        ("capital-gain", True),
        ("I3", True),
        ("f7", False),
    ],
)
def test_names_decide_first(name, amount):
    values = pa.array(np.random.default_rng(0).integers(0, 1000, 5000))
    assert amount_reason(profile_of(values, name))[0] is amount


def test_few_values_are_names():
    assert amount_reason(profile_of(pa.array(np.arange(100) % 20), "age")) == (False, "whole numbers, only 20 of them")


def test_the_spread_decides_when_the_name_does_not():
    rng = np.random.default_rng(0)
    spreads = {
        "below zero": (rng.integers(-50, 50, 5000), True),
        "a mark for unknown": (np.where(rng.random(5000) < 0.1, -1, rng.integers(100, 900, 5000)), False),
        "counts": (np.floor(rng.lognormal(0, 2.5, 20_000)).astype(np.int64), True),
        "ages": (np.clip(rng.normal(40, 12, 20_000), 17, 90).astype(np.int64), True),
        "prices in cents": (np.floor(rng.lognormal(7, 0.5, 20_000)).astype(np.int64), True),
        "ids in no order": (rng.permutation(500)[rng.zipf(1.3, 20_000) % 500], False),
        "ids by popularity": (np.minimum(rng.zipf(1.5, 20_000), 400), False),
        "hashed ids": (rng.integers(0, 2**40, 20_000), False),
        "large ids": (rng.integers(2**60, 2**61, 5000), False),
    }
    found = {name: amount_reason(profile_of(pa.array(values), "f7"))[0] for name, (values, _) in spreads.items()}
    assert found == {name: wanted for name, (_, wanted) in spreads.items()}


def test_infinite_cells_do_not_make_numbers_text():
    column = pa.chunked_array([pa.array([0.5, float("inf"), 1.25, float("-inf")] * 20)])
    assert profile("x", column).kind == "number"
