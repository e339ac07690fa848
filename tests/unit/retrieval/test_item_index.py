from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise import sealed
from clickwise.errors import BundleError, ClickwiseError, ConfigError, MissingExtraError
from clickwise.progress import Progress
from clickwise.retrieval import index_config, part
from clickwise.retrieval.catalogue import Rule
from clickwise.retrieval.item_index import INDEX, IndexConfig, ItemIndex

C, K, Q = 2000, 8, 12
RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(30, K))
CLUSTER = RNG.integers(0, 30, C)
VECTORS = (CENTRES[CLUSTER] + 0.3 * RNG.normal(size=(C, K))).astype(np.float32)
TUNING = (CENTRES[RNG.integers(0, 30, 100)] + 0.3 * RNG.normal(size=(100, K))).astype(np.float32)
QUERIES = (CENTRES[RNG.integers(0, 30, Q)] + 0.3 * RNG.normal(size=(Q, K))).astype(np.float32)
ITEMS = pa.table(
    {
        "item": [f"i{row}" for row in range(C)],
        "category": [f"c{row % 40}" for row in range(C)],
        "price": np.arange(C) / 10,
        "tags": [[f"t{row % 7}", f"t{row % 3}"] for row in range(C)],
    }
)
KINDS: dict[str, IndexConfig] = {
    "exact": IndexConfig(kind="exact"),
    "faiss": IndexConfig(kind="faiss", k=20),
    "lists": IndexConfig(kind="faiss", k=20, recall=0.97, options={"exact_up_to": 0, "lists": 25}),
    "hnsw": IndexConfig(kind="hnsw", k=20, recall=0.97),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def built() -> dict[str, ItemIndex]:
    how = {"queries": TUNING, "threads": 1}
    return {kind: ItemIndex.build(ITEMS, "item", VECTORS, config, **how) for kind, config in KINDS.items()}


def best(query: np.ndarray, k: int, rows: np.ndarray, vectors: np.ndarray = VECTORS) -> list[int]:
    scores = vectors[rows].astype(np.float64) @ query.astype(np.float64)
    return rows[np.argsort(-scores, kind="stable")[:k]].tolist()


def recall(index: ItemIndex, k: int, rows: np.ndarray, exclude: list[list[str]] | None = None, **how: Any) -> float:
    """Mean share of the best of `rows`, less those excluded; nothing else may be found."""
    found = index.search(QUERIES, k, exclude=exclude, **how)
    shares = []
    for query in range(Q):
        left = np.setdiff1d(rows, [int(one[1:]) for one in (exclude or [[]] * Q)[query]])
        mine = found.rows[query]
        there = mine[mine >= 0]
        assert len(there) == min(k, len(left)), "none may be lost"
        assert np.isin(there, left).all()
        assert (np.diff(found.scores[query][: len(there)]) <= 0).all()
        wanted = best(QUERIES[query], k, left)
        shares.append(len(set(wanted) & set(there.tolist())) / len(wanted) if wanted else 1.0)
    return float(np.mean(shares))


@every_kind
def test_search(kind: str, built: dict[str, ItemIndex]) -> None:
    index = built[kind]
    assert len(index) == C and index.dim == K and index.id_column == "item"
    assert recall(index, 20, np.arange(C)) > 0.95
    found = index.search(QUERIES, 3)
    assert index.ids_of(found.rows[0]) == [f"i{row}" for row in found.rows[0]]
    assert index.take(found.rows[1], ["price"]).column("price").to_pylist() == [row / 10 for row in found.rows[1]]


RULES = {
    "few": ["category=c7"],
    "many": ["price<150"],
    "both": ["category in c7|c8|c9", "price>20"],
    "lists": ["tags in t6", "tags not in t2"],
    "one": ["item=i77"],
    "none": ["price<0"],
}


def fulfilling(rules: list[str]) -> np.ndarray:
    keep = np.ones(C, bool)
    for rule in rules:
        keep &= Rule.parse(rule).holds(
            ITEMS.column(rule.replace("<", " ").replace("=", " ").replace(">", " ").split()[0]).combine_chunks()
        )
    return np.flatnonzero(keep)


@every_kind
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("few", [0, 5000])
def test_rules(kind: str, rules: str, few: int, built: dict[str, ItemIndex], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "_FEW_ROWS", few)
    monkeypatch.setattr(part, "_FEW_SHARE", 0.0)
    where = [Rule.parse(rule) for rule in RULES[rules]]
    index = ItemIndex(
        part.Part(built[kind].main.shelf, built[kind].main.vectors), None, KINDS[kind], built[kind].measured
    )
    for _ in range(2):  # the second time from what was kept
        share = recall(index, 20, fulfilling(RULES[rules]), where=where)
    assert share > (0.99 if few or kind in ("exact", "faiss") else 0.8)


@every_kind
def test_lists_of_ids_to_allow(kind: str, built: dict[str, ItemIndex]) -> None:
    rows = RNG.choice(C, 300, replace=False)
    allow = [*(f"i{row}" for row in rows), "i999999", f"i{rows[0]}"]
    assert recall(built[kind], 20, rows, allow=allow) > 0.99
    cheap = rows[rows < 1500]
    assert recall(built[kind], 20, cheap, allow=allow, where=[Rule.parse("price<150")]) > 0.99
    assert recall(built[kind], 20, np.zeros(0, int), allow=[]) == 1.0


@every_kind
def test_excluded_items_are_never_found_and_no_other_is_lost(kind: str, built: dict[str, ItemIndex]) -> None:
    index = built[kind]
    closest = index.search(QUERIES, 400).rows
    least = 0.99 if kind in ("exact", "faiss") else 0.8  # what was found is left out, what was missed is not
    for sizes in ([0] * Q, [1] * Q, [50] * Q, [0, 400, 3, 0, 17, 1, 0, 0, 64, 65, 200, 2]):
        exclude = [[f"i{row}" for row in closest[query, :size]] for query, size in enumerate(sizes)]
        assert recall(index, 20, np.arange(C), exclude) > least
    exclude = [[f"i{row}" for row in closest[query, :30]] + ["i999999"] for query in range(Q)]
    assert recall(index, 20, fulfilling(["price<150"]), exclude, where=[Rule.parse("price<150")]) > least
    by_rows = index.search(QUERIES, 20, exclude=list(closest[:, :30]))
    np.testing.assert_array_equal(by_rows.rows, index.search(QUERIES, 20, exclude=[one[:30] for one in exclude]).rows)
    everything = index.search(QUERIES[:1], 5, exclude=[np.arange(C)])
    assert (everything.rows == -1).all()


@every_kind
def test_updates(kind: str, built: dict[str, ItemIndex]) -> None:
    old = built[kind]
    new = old.upserted(more(["i5", "new", "i6"], ["z", "c1", None]), QUERIES[:3] * 10)
    assert len(old) == C and len(new) == C + 1
    assert new.rows_of(["i5", "new", "i6", "i7"]).tolist() == [C, C + 1, C + 2, 7]
    assert [int(row) for row in new.search(QUERIES[:3], 1).rows[:, 0]] == [C, C + 1, C + 2]
    assert old.search(QUERIES[:3], 1).rows.max() < C, "the version before is as it was"
    assert new.take(np.array([C, 5])).column("category").to_pylist() == ["z", "c5"]
    assert new.search(QUERIES, C + 5, where=[Rule.parse("category in z|c5")]).rows.max() == C
    less = new.removed(["new", "i8", "i8", "unknown"])
    assert len(less) == C - 1 and less.rows_of(["new", "i8", "i6"]).tolist() == [-1, -1, C + 2]
    found = less.search(QUERIES, C + 10).rows
    for gone in (5, 6, 8, C + 1):
        assert gone not in found
    assert set(found[0][found[0] >= 0].tolist()) == set(range(C + 3)) - {5, 6, 8, C + 1}
    back = less.upserted(more(["i8"], ["c8"]), QUERIES[:1] * 20)
    assert back.rows_of(["i8"]).tolist() == [C + 3] and len(back) == C
    assert back.search(QUERIES[:1], 1).rows[0, 0] == C + 3
    again = back.upserted(more(["i8", "i5"], ["c8", "c5"]), QUERIES[:2])
    assert again.rows_of(["i8", "i5"]).tolist() == [C + 4, C + 5] and len(again) == C
    assert again.ids_of(np.array([C + 4, 3, C])) == ["i8", "i3", "i5"]
    np.testing.assert_allclose(again.vectors(np.array([C + 4, C + 5, 9])), [*QUERIES[:2], VECTORS[9]], rtol=1e-3)
    codes = again.catalogue.codes("category")
    assert codes[C + 4] == codes[8] and codes[C + 2] == -1 and len(codes) == C + 6
    assert again.catalogue.mask([Rule.parse("category=c8")])[C + 4]


def more(ids: list[str], categories: list[str | None]) -> pa.Table:
    n = len(ids)
    return pa.table(
        {"category": pa.array(categories, pa.string()), "item": ids, "price": np.ones(n), "tags": [["t0"]] * n}
    )


@every_kind
def test_compacted(kind: str, built: dict[str, ItemIndex]) -> None:
    index = built[kind].upserted(more(["i5", "new"], ["z", "y"]), QUERIES[:2] * 3).removed(["i0", "i1999"])
    whole = index.compacted(queries=TUNING, threads=1)
    assert len(whole) == len(index) == C - 1 and whole.newer is None and whole.config == index.config
    assert whole.main.gone is None
    before, after = index.search(QUERIES, 10), whole.search(QUERIES, 10)
    same = [len(set(index.ids_of(a)) & set(whole.ids_of(b))) / 10 for a, b in zip(before.rows, after.rows, strict=True)]
    assert np.mean(same) > 0.9
    ids = ["i1", "i5", "new", "i1998"]
    np.testing.assert_allclose(whole.vectors(whole.rows_of(ids)), index.vectors(index.rows_of(ids)), rtol=2.0**-11)
    rows = np.arange(10, 30)
    np.testing.assert_array_equal(whole.vectors(rows - 2), index.vectors(rows), "no second rounding")
    assert whole.rows_of(["i0", "i1999"]).tolist() == [-1, -1]


@every_kind
def test_saved_and_opened(kind: str, built: dict[str, ItemIndex], tmp_path: Path) -> None:
    changed = built[kind].upserted(more(["i5", "new"], ["z", "y"]), QUERIES[:2]).removed(["i0", "new"])
    for index in (built[kind], changed):
        index.save(tmp_path / "index")
        again = ItemIndex.open(tmp_path / "index")
        assert (len(again), again.dim, again.kind, again.config, again.measured, again.id_column) == (
            len(index),
            index.dim,
            index.kind,
            index.config,
            index.measured,
            index.id_column,
        )
        where = [Rule.parse("price<150")]
        for how in ({}, {"where": where}, {"exclude": [["i7", "i5"]] * Q}, {"allow": ["i3", "i5", "i0"]}):
            before, after = index.search(QUERIES, 15, **how), again.search(QUERIES, 15, **how)
            np.testing.assert_array_equal(before.rows, after.rows)
            np.testing.assert_array_equal(before.scores, after.scores)
        np.testing.assert_array_equal(index.rows_of(["i5", "new", "i0"]), again.rows_of(["i5", "new", "i0"]))
        again.save(tmp_path / "index")  # over what it is mapped from
        np.testing.assert_array_equal(again.search(QUERIES, 5).rows, index.search(QUERIES, 5).rows)
    assert [p.name for p in tmp_path.iterdir()] == ["index"]
    INDEX.verify(tmp_path / "index")


def test_vectors_are_mapped_and_not_read(
    built: dict[str, ItemIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built["lists"].save(tmp_path / "index")
    hashed: list[str] = []
    real = sealed.sha256_of
    monkeypatch.setattr(sealed, "sha256_of", lambda path: hashed.append(path.name) or real(path))
    ItemIndex.open(tmp_path / "index")
    assert "items.arrow" in hashed and "centres.npy" in hashed and "lists.bin" not in hashed


def test_any_changed_byte_is_found(built: dict[str, ItemIndex], tmp_path: Path) -> None:
    index = built["lists"].upserted(more(["i5"], ["z"]), QUERIES[:1]).removed(["i9"])
    index.save(tmp_path / "index")
    rng = np.random.default_rng(3)
    for path in sorted(p for p in (tmp_path / "index").rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for position in (0, len(whole) - 1, int(rng.integers(len(whole)))):
            changed = bytearray(whole)
            changed[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            with pytest.raises(BundleError, match=r"damaged|is not valid JSON"):
                INDEX.verify(tmp_path / "index")
            if path.name != "lists.bin":
                with pytest.raises(BundleError):
                    ItemIndex.open(tmp_path / "index")
        path.write_bytes(whole[:-1])
        with pytest.raises(BundleError):
            ItemIndex.open(tmp_path / "index")
        path.write_bytes(whole)
    assert len(ItemIndex.open(tmp_path / "index")) == C - 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "annoy"}, "unknown index 'annoy'"),
        ({"kind": "exact"}, "has other values|cannot be read|is missing"),
        ({"measured": {"recall": 1.0}}, "measured.k: is required"),
        ({"config": {"recal": 1.0}}, r"config.recal: unknown key \(did you mean 'recall'\?\)"),
        ({"format": "clickwise bundle"}, "is a clickwise bundle and no index; `clickwise inspect`"),
        ({"format": ["else"]}, "is not the manifest of a clickwise index"),
        ({"format_version": 2}, "has format version 2, this clickwise reads 1; build it again"),
    ],
)
def test_the_manifest_is_not_trusted(
    change: dict[str, Any], words: str, built: dict[str, ItemIndex], tmp_path: Path
) -> None:
    built["lists"].save(tmp_path / "index")
    manifest = json.loads((tmp_path / "index" / sealed.MANIFEST).read_text())
    about = {key: value for key, value in manifest.items() if key not in ("format", "format_version", "files")}
    INDEX.write(tmp_path / "index", {**about, **change})
    with pytest.raises(BundleError, match=words):
        ItemIndex.open(tmp_path / "index")


def test_parts_that_do_not_fit_each_other_are_refused(built: dict[str, ItemIndex], tmp_path: Path) -> None:
    one = built["exact"].upserted(more(["i5"], ["z"]), QUERIES[:1])
    other = ItemIndex.build(pa.table({"item": ["a", "b"]}), "item", VECTORS[:2, :3], KINDS["exact"])
    one.save(tmp_path / "one")
    other.save(tmp_path / "other")
    for folder, words in (("main", "its parts do not fit"), ("main/vectors", "has 2000 items and 2 vectors")):
        shutil.copytree(tmp_path / "one", tmp_path / "mixed")
        shutil.rmtree(tmp_path / "mixed" / folder)
        shutil.copytree(tmp_path / "other" / folder, tmp_path / "mixed" / folder)
        manifest = json.loads((tmp_path / "one" / sealed.MANIFEST).read_text())
        INDEX.write(
            tmp_path / "mixed", {k: v for k, v in manifest.items() if k not in ("format", "format_version", "files")}
        )
        with pytest.raises(BundleError, match=f"{words}.* the index is damaged"):
            ItemIndex.open(tmp_path / "mixed")
        shutil.rmtree(tmp_path / "mixed")


def test_only_an_index_is_replaced(built: dict[str, ItemIndex], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    with pytest.raises(BundleError, match="is not a clickwise index"):
        built["exact"].save(tmp_path / "mine")
    with pytest.raises(BundleError, match=r"no such index; `clickwise index \.\.\. --out"):
        ItemIndex.open(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda i: i.search(QUERIES, 0), "k: got 0"),
        (lambda i: i.search(QUERIES[:, :3], 2), r"the index wants numbers \[queries, 8\]"),
        (lambda i: i.search(QUERIES, 2, exclude=[[]]), "1 lists of items to leave out came with 12 queries"),
        (lambda i: i.search(QUERIES, 2, where=[Rule.parse("pric<3")]), "there is no column 'pric'"),
        (lambda i: i.search(QUERIES, 2, allow=[3]), "value 3: is no id of an item"),
        (lambda i: i.upserted(ITEMS.select(["item"]).slice(0, 1), VECTORS[:1]), "column 'category': is missing"),
        (lambda i: i.upserted(ITEMS.slice(0, 2), VECTORS[:1]), "2 items came with 1 vectors"),
        (lambda i: i.upserted(ITEMS.slice(0, 2), VECTORS[:2, :3]), "vectors have 3 numbers, those of the index 8"),
        (lambda i: i.upserted(ITEMS.slice(0, 1), VECTORS[:1] * np.nan), "vectors, row 1: has a number"),
        (
            lambda i: i.upserted(pa.concat_tables([ITEMS.slice(3, 1)] * 2), VECTORS[:2]),
            "row 2, column 'item', value 'i3': comes twice",
        ),
        (
            lambda i: i.upserted(ITEMS.slice(0, 1).set_column(2, "price", pa.array(["dear"])), VECTORS[:1]),
            "column 'price': is string, and double in the catalogue",
        ),
        (lambda i: ItemIndex.build(pa.table({"item": ["a", "a"]}), "item", VECTORS[:2]), "value 'a': comes twice"),
        (lambda i: ItemIndex.build(ITEMS, "item", VECTORS[:5]), "2,000 items came with 5 vectors"),
        (lambda i: ItemIndex.build(ITEMS, "item", VECTORS, queries=QUERIES[:, :2]), "queries are float32"),
        (
            lambda i: ItemIndex.build(ITEMS, "item", VECTORS, IndexConfig(kind="exact", options={"m": 1})),
            "index.options.m",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call: Any, words: str, built: dict[str, ItemIndex]) -> None:
    with pytest.raises(ClickwiseError, match=words) as caught:
        call(built["exact"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"kind": "fais"}, r"kind: unknown index 'fais' \(did you mean 'faiss'\?\)"),
        ({"recall": 0.0}, "recall: got 0.0"),
        ({"recall": 1.1}, "recall: got 1.1"),
        ({"k": 0}, "k: got 0"),
        ({"effort": 0}, "effort: got 0"),
    ],
)
def test_a_config_is_checked(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        IndexConfig(**keys)


def test_auto_is_faiss_and_numpy_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Told(Progress):
        def note(self, text: str) -> None:
            told.append(text)

    assert ItemIndex.build(ITEMS, "item", VECTORS).kind == "faiss"
    monkeypatch.setattr(index_config, "find_spec", lambda name: None)
    assert ItemIndex.build(ITEMS, "item", VECTORS, progress=Told()).kind == "exact"
    assert told == ["faiss is not installed: NumPy searches exactly; 'clickwise[retrieval]' is faster"]
    monkeypatch.setattr(index_config, "EXACT_UP_TO", 1999)
    with pytest.raises(MissingExtraError, match=r"an index of 2,000 items needs .* 'clickwise\[retrieval\]'"):
        ItemIndex.build(ITEMS, "item", VECTORS)


def test_faiss_that_is_missing_is_named(built: dict[str, ItemIndex], tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    built["lists"].save(tmp_path / "index")
    monkeypatch.setitem(sys.modules, "faiss", None)
    for call in (
        lambda: ItemIndex.build(ITEMS, "item", VECTORS, KINDS["faiss"]),
        lambda: ItemIndex.build(ITEMS, "item", VECTORS, KINDS["hnsw"]),
        lambda: ItemIndex.open(tmp_path / "index"),
    ):
        with pytest.raises(MissingExtraError, match=r"clickwise\[retrieval\]"):
            call()


def test_an_index_of_no_items(tmp_path: Path) -> None:
    for config in KINDS.values():
        empty = ItemIndex.build(ITEMS.slice(0, 0), "item", VECTORS[:0], config)
        assert len(empty) == 0 and (empty.search(QUERIES, 3).rows == -1).all()
        empty.save(tmp_path / "index")
        opened = ItemIndex.open(tmp_path / "index")
        filled = opened.upserted(ITEMS.slice(0, 3), VECTORS[:3])
        assert set(filled.search(QUERIES[:1], 3).rows[0].tolist()) == {0, 1, 2}
        assert len(opened.upserted(ITEMS.slice(0, 0), VECTORS[:0])) == 0


def test_searching_needs_no_torch_and_no_faiss_where_numpy_searches(
    built: dict[str, ItemIndex], tmp_path: Path
) -> None:
    built["exact"].save(tmp_path / "index")
    code = (
        "import sys, numpy as np; from clickwise.retrieval.item_index import ItemIndex;"
        f"ItemIndex.open({str(tmp_path / 'index')!r}).search(np.ones((1, {K}), np.float32), 3);"
        "sys.exit('torch' in sys.modules or 'faiss' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "torch or faiss was imported"
