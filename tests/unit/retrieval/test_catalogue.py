from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import BundleError, ConfigError, DataError
from clickwise.features import fingerprints
from clickwise.retrieval import shelf as shelf_module
from clickwise.retrieval.bounded import Bounded
from clickwise.retrieval.catalogue import Catalogue, Rule
from clickwise.retrieval.shelf import Shelf

ITEMS = pa.table(
    {
        "item": ["a", "b", "c", "d"],
        "category": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        "price": [1.0, 2.0, None, 4.0],
        "tags": [["r"], ["s", "r"], [], None],
        "empty": pa.nulls(4),
    }
)
MORE = pa.table({"item": ["e", "b", "f"], "category": ["z", None, "y"], "price": [5.0, 6.0, 7.0]})


def two_shelves() -> Catalogue:
    first = Shelf.of(ITEMS.select(["item", "category", "price"]), "item")
    return Catalogue(first, Shelf.of(MORE, "item"))


def test_rows_and_ids() -> None:
    catalogue = Catalogue(Shelf.of(ITEMS, "item"))
    assert len(catalogue) == 4
    assert catalogue.columns == ("item", "category", "price", "tags", "empty")
    rows = catalogue.rows_of(["d", "nope", "a", "", "d"])
    assert rows.dtype == np.int64 and rows.tolist() == [3, -1, 0, -1, 3]
    assert catalogue.rows_of(pa.array(["b", None])).tolist() == [1, -1]
    assert catalogue.rows_of(pa.chunked_array([["b"], ["c"]])).tolist() == [1, 2]
    assert catalogue.rows_of([]).tolist() == []
    assert catalogue.ids_of(np.array([2, 0, 2])) == ["c", "a", "c"]
    with pytest.raises(DataError, match="value 7: is no id of an item; give ids as text"):
        catalogue.rows_of(["a", 7])  # type: ignore[list-item]


def test_ids_that_are_numbers_are_known_by_their_text() -> None:
    catalogue = Catalogue(Shelf.of(pa.table({"item": [7, 3, 10]}), "item"))
    assert catalogue.rows_of(["10", "7", "07"]).tolist() == [2, 0, -1]
    assert catalogue.rows_of(pa.array([3, 4])).tolist() == [1, -1]
    assert catalogue.ids_of(np.array([1])) == ["3"]
    assert catalogue.take(np.array([1])).to_pylist() == [{"item": 3}]


def test_another_id_of_the_same_fingerprint_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue(Shelf.of(ITEMS, "item"))
    monkeypatch.setattr(fingerprints.Fingerprints, "find", lambda self, tokens, *_: np.full(len(tokens), 2, np.int32))
    assert catalogue.rows_of(["c", "q"]).tolist() == [2, -1]


def test_taking_rows() -> None:
    catalogue = Catalogue(Shelf.of(ITEMS, "item"))
    taken = catalogue.take(np.array([3, 1]))
    assert isinstance(taken, pa.RecordBatch)
    assert taken.to_pylist() == [
        {"item": "d", "category": "x", "price": 4.0, "tags": None, "empty": None},
        {"item": "b", "category": "y", "price": 2.0, "tags": ["s", "r"], "empty": None},
    ]
    assert catalogue.take(np.array([0, 0]), ["price"]).to_pydict() == {"price": [1.0, 1.0]}
    assert catalogue.take(np.zeros(0, np.int64)).num_rows == 0
    with pytest.raises(DataError, match="has no such column"):
        catalogue.take(np.array([0]), ["pric"])


def test_masks() -> None:
    catalogue = Catalogue(Shelf.of(ITEMS, "item"))
    assert catalogue.mask([]).tolist() == [True] * 4
    mask = catalogue.mask([Rule.parse("category=x")])
    mask[:] = False  # what was given out is the caller's
    rules = [Rule.parse("category=x"), Rule.parse("price>1")]
    assert catalogue.mask(rules).tolist() == [False, False, False, True]
    assert catalogue.mask([Rule.parse("tags in r")]).tolist() == [True, True, False, False]
    with pytest.raises(ConfigError, match=r"there is no column 'pric' \(did you mean 'price'\?\); items have item"):
        catalogue.mask([Rule.parse("pric>1")])


def test_a_mask_is_computed_once_and_rules_of_other_types_are_other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf.of(pa.table({"item": ["a", "b"], "flag": ["1", "true"]}), "item")
    asked: list[Rule] = []
    real = Rule.holds
    monkeypatch.setattr(Rule, "holds", lambda self, column: asked.append(self) or real(self, column))
    for _ in range(3):
        assert shelf.mask(Rule("flag", "==", 1)).tolist() == [True, False]
        assert shelf.mask(Rule("flag", "==", True)).tolist() == [False, True]
        assert shelf.mask(Rule("flag", "in", ("1", "true"))).tolist() == [True, True]
        assert shelf.mask(Rule("flag", "in", ("1|true",))).tolist() == [False, False]
    assert len(asked) == 4
    with pytest.raises(ValueError, match="read-only"):
        shelf.mask(Rule("flag", "==", 1))[0] = False


def test_two_shelves_are_one_catalogue() -> None:
    catalogue = two_shelves()
    assert len(catalogue) == 7
    assert catalogue.rows_of(["a", "b", "f", "zz"]).tolist() == [0, 5, 6, -1]  # the second b counts
    assert catalogue.ids_of(np.array([5, 0, 6, 3])) == ["b", "a", "f", "d"]
    assert catalogue.take(np.array([5, 0, 4, 1])).column("price").to_pylist() == [6.0, 1.0, 5.0, 2.0]
    assert catalogue.take(np.array([6]), ["item"]).to_pydict() == {"item": ["f"]}
    assert catalogue.mask([Rule.parse("price>=2")]).tolist() == [False, True, False, True, True, True, True]


def test_codes_say_which_rows_share_a_value() -> None:
    for catalogue in (Catalogue(Shelf.of(ITEMS, "item")), two_shelves()):
        for column in ("item", "category", "price"):
            codes = catalogue.codes(column)
            values = catalogue.take(np.arange(len(catalogue)), [column]).column(0).to_pylist()
            assert codes.dtype == np.int32 and len(codes) == len(catalogue)
            for i, one in enumerate(values):
                assert (codes[i] == -1) == (one is None)
                for j, other in enumerate(values):
                    assert one is None or (codes[i] == codes[j]) == (one == other)
    with pytest.raises(ConfigError, match="tags: is no column with one value an item"):
        Catalogue(Shelf.of(ITEMS, "item")).codes("tags")
    with pytest.raises(ConfigError, match=r"did you mean 'price'"):
        two_shelves().codes("prices")


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["a", "b", "a"], "items, row 3, column 'item', value 'a': comes twice, in row 1 too; keep one row"),
        (["a", "b", "b", "a"], "items, row 3, column 'item', value 'b': comes twice, in row 2 too"),
        ([1.0, 2.5, 1.0], "row 3, column 'item', value '1': comes twice"),
        (["a", None], "items, row 2, column 'item': is missing; give every item an id"),
        (["a", "b", ""], "row 3, column 'item': is missing"),
    ],
)
def test_every_item_has_an_id_of_its_own(ids: list[object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Shelf.of(pa.table({"item": ids}), "item")


def test_a_catalogue_without_its_id_column_is_refused() -> None:
    with pytest.raises(DataError, match=r"items, column 'itm': is missing \(did you mean 'item'\?\)"):
        Shelf.of(ITEMS, "itm")


def test_saved_and_mapped(tmp_path: Path) -> None:
    Shelf.of(ITEMS, "item").save(tmp_path / "items")
    shelf = Shelf.load(tmp_path / "items")
    again = Catalogue(shelf)
    assert again.take(np.arange(4)).equals(Catalogue(Shelf.of(ITEMS, "item")).take(np.arange(4)))
    assert again.rows_of(["d", "a", "q"]).tolist() == [3, 0, -1]
    big = pa.table({"item": [f"i{i}" for i in range(20_000)]})
    Shelf.of(big, "item").save(tmp_path / "big")
    del big
    allocated = pa.total_allocated_bytes()
    mapped = Shelf.load(tmp_path / "big")
    assert pa.total_allocated_bytes() - allocated < 10_000 and len(mapped) == 20_000


@pytest.mark.parametrize("what", ["rows out of range", "hashes in another order", "fewer rows", "another id column"])
def test_an_index_of_ids_that_does_not_fit_is_refused(tmp_path: Path, what: str) -> None:
    Shelf.of(ITEMS, "item").save(tmp_path / "items")
    hashes, rows = (np.load(tmp_path / "items" / f"{name}.npy") for name in ("hashes", "rows"))
    if what == "rows out of range":
        rows[0] = 4
    elif what == "hashes in another order":
        hashes = hashes[::-1].copy()
    elif what == "fewer rows":
        rows = rows[1:]
    else:
        shelf_module.write_state(tmp_path / "items", {"seed": 0, "id_column": "other"})
    np.save(tmp_path / "items" / "hashes.npy", hashes)
    np.save(tmp_path / "items" / "rows.npy", rows)
    with pytest.raises(BundleError):
        Shelf.load(tmp_path / "items")


def test_no_items(tmp_path: Path) -> None:
    shelf = Shelf.of(ITEMS.slice(0, 0), "item")
    shelf.save(tmp_path / "items")
    catalogue = Catalogue(Shelf.load(tmp_path / "items"))
    assert len(catalogue) == 0 and catalogue.rows_of(["a"]).tolist() == [-1]
    assert catalogue.mask([Rule.parse("price>1")]).shape == (0,)


def test_what_is_kept_is_bounded() -> None:
    kept: Bounded[int, bytes] = Bounded(10, len)
    made: list[int] = []

    def make(key: int, size: int) -> bytes:
        return kept.get(key, lambda: made.append(key) or bytes(size))

    for key in (1, 2, 1, 3, 1, 2):
        assert len(make(key, 4)) == 4
    assert made == [1, 2, 3, 2], "the one not asked for the longest goes first"
    assert len(make(9, 100)) == 100, "one that is larger than all may be is given too"
    make(9, 100)
    make(1, 4)
    assert made == [1, 2, 3, 2, 9, 1]
