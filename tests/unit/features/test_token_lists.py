from __future__ import annotations

import pyarrow as pa
import pytest

from clickwise.features.token_lists import to_number_lists, to_token_lists, without_missing
from clickwise.features.transform import BadCells

LISTS = [["a", None, "b"], [], None, ["", "a"]]
TOKENS = [["a", None, "b"], [], [], [None, "a"]]


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, pa.list_view, pa.large_list_view])
def test_list_columns(kind: type) -> None:
    column = pa.array(LISTS, kind(pa.string()))
    assert to_token_lists(column).to_pylist() == TOKENS
    assert to_token_lists(column[1:]).to_pylist() == TOKENS[1:]


def test_lists_of_one_length_and_of_numbers() -> None:
    column = pa.array([[1, 2], None, [2, None]], pa.list_(pa.int64(), 2))
    assert to_token_lists(column).to_pylist() == [["1", "2"], [], ["2", None]]


def test_text_is_cut_at_the_separator() -> None:
    column = pa.array(["a|b||", "", None, "b", "a|b||"])
    assert to_token_lists(column, "|").to_pylist() == [["a", "b", None, None], [], [], ["b"], ["a", "b", None, None]]
    assert without_missing(to_token_lists(column, "|")).to_pylist() == [["a", "b"], [], [], ["b"], ["a", "b"]]
    assert to_token_lists(pa.array(["a.*b"]), ".*").to_pylist() == [["a", "b"]]
    assert to_token_lists(pa.array(["a|b"])).to_pylist() == [["a|b"]]


def test_without_missing_of_a_slice() -> None:
    assert without_missing(to_token_lists(pa.array(LISTS))[2:]).to_pylist() == [[], ["a"]]


def test_a_bad_value_is_a_bad_cell_of_its_row_once() -> None:
    long = "x" * 5000
    with pytest.raises(BadCells) as caught:
        to_token_lists(pa.array([["a"], ["a", long, long], [], [long]]))
    assert [c.position for c in caught.value.cells] == [1, 3]
    with pytest.raises(BadCells) as caught:
        to_token_lists(pa.array(["a", "b|" + long, None, "c"]), "|")
    assert [c.position for c in caught.value.cells] == [1]
    assert to_token_lists(pa.array(["|".join("abcdefgh" * 1000)]), "|").value_lengths().to_pylist() == [8000]


def test_number_lists() -> None:
    assert to_number_lists(pa.array([[1.0], None, [2, None], []])).to_pylist() == [[1.0], None, [2.0, None], []]
    assert to_number_lists(pa.array(["1|.5", None, "", "3"]), "|").to_pylist() == [[1.0, 0.5], None, None, [3.0]]
    assert to_number_lists(pa.array([1.0, None]), "|").to_pylist() == [[1.0], None]
    with pytest.raises(BadCells) as caught:
        to_number_lists(pa.array(["1", "2|x|y"]), "|")
    assert [tuple(c) for c in caught.value.cells] == [(1, "", "x", "is not a number")]
