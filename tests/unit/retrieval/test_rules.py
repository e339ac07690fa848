from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import ConfigError
from clickwise.retrieval.rules import Rule

COLUMNS = {
    "category": pa.array(["shoes", "hats", None, "", "a=b", "shoes "]),
    "price": pa.array([1.0, 5.0, None, math.nan, -2.5, 1e9]),
    "stock": pa.array([0, 3, None, 2**53 + 1, -1, 7], pa.int64()),
    "sold": pa.array([0, 3, None, 255, 1, 7], pa.uint8()),
    "new": pa.array([True, False, None, True, False, True]),
    "size": pa.array(["9", "10", None, " 11 ", "9.5", ""]),
    "tags": pa.array([["red", "new"], [], None, ["blue"], ["red", None], [None]]),
    "sizes": pa.array([[1, 2], [], None, [3], [2, None], [7]], pa.list_(pa.int32())),
    "since": pa.array([datetime.datetime(2024, 1, day + 1) for day in range(5)] + [None], pa.timestamp("us")),
    "day": pa.array([datetime.date(2024, 1, day + 1) for day in range(5)] + [None]),
    "nothing": pa.nulls(6),
}


def holds(text: str | Rule) -> list[int]:
    rule = Rule.parse(text) if isinstance(text, str) else text
    found = rule.holds(COLUMNS[rule.column])
    assert found.dtype == bool and found.shape == (6,)
    return np.flatnonzero(found).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("category=shoes", [0]),
        ("category == shoes", [0]),
        ("category=a=b", [4]),
        ("category=", [3]),
        ("category!=shoes", [1, 2, 3, 4, 5]),
        ("category in shoes|hats|caps", [0, 1]),
        ("category not in shoes | hats", [2, 3, 4, 5]),
        ("price<=5", [0, 1, 4]),
        ("price < 5.0", [0, 4]),
        ("price>1", [1, 5]),
        ("price>=1e9", [5]),
        ("price=5", [1]),
        ("price!=5", [0, 2, 3, 4, 5]),
        ("price in 1|5", [0, 1]),
        ("price not in 1|5", [2, 3, 4, 5]),
        ("stock=9007199254740993", [3]),
        ("stock=9007199254740992", []),
        ("stock>9007199254740992", [3]),
        ("stock<2.5", [0, 4]),
        ("stock=2.5", []),
        ("sold>-1", [0, 1, 3, 4, 5]),
        ("sold<300", [0, 1, 3, 4, 5]),
        ("sold=-1", []),
        ("new=true", [0, 3, 5]),
        ("new!=TRUE", [1, 2, 4]),
        ("new in true|false", [0, 1, 3, 4, 5]),
        ("size=9", [0]),
        ("size>=10", [1, 3]),
        ("size<10", [0, 4]),
        ("tags in red", [0, 4]),
        ("tags in blue|new", [0, 3]),
        ("tags not in red", [1, 2, 3, 5]),
        ("sizes in 2", [0, 4]),
        ("sizes not in 2|3", [1, 2, 5]),
        ("since>2024-01-03", [3, 4]),
        ("since<=2024-01-02T00:00:00", [0, 1]),
        ("since=2024-01-05", [4]),
        ("since!=2024-01-05", [0, 1, 2, 3, 5]),
        ("day>=2024-01-04", [3, 4]),
        ("nothing=x", []),
        ("nothing!=x", [0, 1, 2, 3, 4, 5]),
        ("nothing<3", []),
        (Rule("price", "<=", 5), [0, 1, 4]),
        (Rule("size", "==", 9.0), [0]),
        (Rule("stock", "in", [3, 7]), [1, 5]),
        (Rule("new", "==", True), [0, 3, 5]),
        (Rule("since", ">", datetime.datetime(2024, 1, 4)), [4]),
    ],
)
def test_which_rows_fulfil_a_rule(text: str | Rule, rows: list[int]) -> None:
    assert holds(text) == rows


def test_a_slice_of_a_column_is_read_where_it_is() -> None:
    for name, column in COLUMNS.items():
        whole = pa.concat_arrays([column, column])
        rule = Rule(name, "in", _NOT_TEXT.get(name, ["red", "shoes", "9"]))
        np.testing.assert_array_equal(rule.holds(whole)[3:10], rule.holds(whole.slice(3, 7)))


_NOT_TEXT: dict[str, list[Any]] = {
    "price": [1, 5],
    "stock": [3],
    "sold": [3],
    "new": ["true"],
    "sizes": [2],
    "since": ["2024-01-02"],
    "day": ["2024-01-02"],
}


@pytest.mark.parametrize("text", ["", "price", "=5", "<3", "price is 5", "in a|b"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="allowed is such as price<=5"):
        Rule.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("price<=cheap", r"rule price<=cheap: got 'cheap', allowed for column 'price' of double is a number"),
        ("price=nan", "is a number"),
        ("price in 1|x", "got 'x'"),
        ("new>true", "allowed for column 'new' of bool is == and !="),
        ("new=perhaps", "a value of type bool"),
        ("tags=red", r"allowed for column 'tags' of list<.*> is in and not in, such as tags in red"),
        ("category<m", "'shoes' has no order"),
        ("since>yesterday", "a value of type timestamp"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        holds(text)


def test_a_rule_is_checked_when_it_is_made() -> None:
    with pytest.raises(ConfigError, match=r"rule on price: got '=>', allowed is ==, !=, <"):
        Rule("price", "=>", 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a list of values"):
        Rule("price", "in", 5)
    with pytest.raises(ConfigError, match="a list of values"):
        Rule("price", "in", ())
    with pytest.raises(ConfigError, match="one value"):
        Rule("price", "==", (5,))
    with pytest.raises(ConfigError, match="one value"):
        Rule("price", "==", None)


@pytest.mark.parametrize("text", ["price<=5", "category in a|b", "tags not in x", "a b!=c d", "name==made in italy"])
def test_text_of_a_rule_is_the_same_rule(text: str) -> None:
    rule = Rule.parse(text)
    assert str(rule) == text and Rule.parse(str(rule)) == rule
