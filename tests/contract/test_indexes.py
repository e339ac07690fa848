"""What every registered index must do, beside a naive search in float64."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickwise.errors import BundleError, ClickwiseError, ConfigError, DataError
from clickwise.registry import indexes
from clickwise.retrieval.found import Found
from clickwise.retrieval.index_config import ExactIndex, FaissIndex, HNSWIndex
from clickwise.retrieval.vector_index import MAPPED, VectorIndex

CONFIGS: dict[str, Any] = {
    "exact": ExactIndex.Config(),
    "faiss": FaissIndex.Config(),
    "faiss, lists": FaissIndex.Config(exact_up_to=0, lists=24),
    "hnsw": HNSWIndex.Config(neighbours=16, build_effort=60),
}
APPROXIMATE = {"faiss, lists": 12, "hnsw": 200}
"""Those that do not look at everything, with an effort that is enough here."""
PRECISION = {"exact": 2.0**-20}
"""Of a stored number, relative; half precision unless said here."""

every_index = pytest.mark.parametrize("name", CONFIGS)
K, C, Q = 12, 3000, 30


def clustered(seed: int = 0, rows: int = C, dim: int = K) -> np.ndarray:
    """Vectors of different lengths around 60 centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(60, dim))
    return (centres[rng.integers(0, 60, rows)] + 0.4 * rng.normal(size=(rows, dim))).astype(np.float32)


VECTORS, QUERIES = clustered(), clustered(1, Q)


def build(name: str, vectors: np.ndarray = VECTORS) -> VectorIndex:
    index = indexes.get(name.partition(",")[0]).build(CONFIGS[name], vectors, threads=1)
    return index.with_effort(APPROXIMATE[name], 10) if name in APPROXIMATE and len(vectors) == C else index


@pytest.fixture(scope="module")
def built() -> dict[str, VectorIndex]:
    return {name: build(name) for name in CONFIGS}


def naive(vectors: np.ndarray, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> list[int]:
    """The k best rows in float64, among equals the lower one first."""
    scores = [float(score) for score in vectors.astype(np.float64) @ query.astype(np.float64)]
    rows = range(len(vectors)) if allowed is None else np.flatnonzero(allowed).tolist()
    return sorted(rows, key=lambda row: (-scores[row], row))[:k]


def recall(found: Found, k: int, allowed: np.ndarray | None = None) -> float:
    shares = []
    for query, rows in zip(QUERIES, found.rows, strict=True):
        best = naive(VECTORS, query, k, allowed)
        shares.append(len(set(best) & set(rows.tolist())) / len(best))
    return float(np.mean(shares))


def check_form(found: Found, num_queries: int, k: int) -> None:
    assert found.rows.shape == found.scores.shape == (num_queries, k)
    assert found.rows.dtype == np.int64 and found.scores.dtype == np.float32
    assert ((found.rows == -1) == np.isneginf(found.scores)).all()
    for rows, scores in zip(found.rows, found.scores, strict=True):
        there = rows >= 0
        assert not there[np.argmin(there) :].any() or there.all(), "what is missing comes last"
        assert len(set(rows[there].tolist())) == there.sum(), "no row comes twice"
        assert (np.diff(scores[there]) <= 0).all(), "highest first"


def test_every_registered_index_is_tested() -> None:
    assert {name.partition(",")[0] for name in CONFIGS} == set(indexes)


@every_index
def test_it_finds_what_a_naive_search_finds(name: str, built: dict[str, VectorIndex]) -> None:
    found = built[name].search(QUERIES, 10)
    check_form(found, Q, 10)
    least = 1.0 if name == "exact" else 0.99 if name == "faiss" else 0.9
    assert recall(found, 10) >= least


@every_index
def test_scores_are_dot_products(name: str, built: dict[str, VectorIndex]) -> None:
    index = built[name]
    found = index.search(QUERIES, 10)
    stored = index.vectors(found.rows.ravel()).reshape(Q, 10, K).astype(np.float64)
    true = VECTORS[found.rows].astype(np.float64)
    np.testing.assert_allclose(stored, true, rtol=PRECISION.get(name, 2.0**-11), atol=1e-7)
    scores = np.einsum("qk,qnk->qn", QUERIES.astype(np.float64), stored)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5, atol=1e-4)


@every_index
def test_a_mask_is_never_violated_and_as_many_are_found_as_it_allows(name: str, built: dict[str, VectorIndex]) -> None:
    for share, seed in ((0.5, 1), (0.1, 2), (0.01, 3), (0.002, 4)):
        allowed = np.random.default_rng(seed).random(C) < share
        found = built[name].search(QUERIES, 20, allowed)
        check_form(found, Q, 20)
        assert allowed[found.rows[found.rows >= 0]].all()
        assert ((found.rows >= 0).sum(1) == min(20, allowed.sum())).all()
        assert recall(found, 20, allowed) >= (0.9 if name in APPROXIMATE else 0.99), share
    nothing = built[name].search(QUERIES, 3, np.zeros(C, bool))
    check_form(nothing, Q, 3)
    assert (nothing.rows == -1).all()


@every_index
def test_a_mask_of_one_cluster_far_from_the_query(name: str, built: dict[str, VectorIndex]) -> None:
    far = np.argsort(VECTORS @ QUERIES[0])[:40]
    allowed = np.zeros(C, bool)
    allowed[far] = True
    found = built[name].search(QUERIES[:1], 40, allowed)
    assert set(found.rows[0].tolist()) == set(far.tolist())


@every_index
def test_k_larger_than_the_corpus_finds_all(name: str) -> None:
    index = build(name, VECTORS[:37])
    found = index.search(QUERIES, 50)
    check_form(found, Q, 50)
    assert (np.sort(found.rows, axis=1)[:, 13:] == np.arange(37)).all()
    assert (found.rows[:, 37:] == -1).all()


@every_index
def test_all_of_a_larger_corpus_are_found_too(name: str, built: dict[str, VectorIndex]) -> None:
    found = built[name].search(QUERIES[:2], C)
    assert (np.sort(found.rows, axis=1) == np.arange(C)).all()


@every_index
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_hardly_any_rows(name: str, rows: int, tmp_path: Path) -> None:
    index = build(name, VECTORS[:rows])
    index.save(tmp_path / "index")
    for one in (index, type(index).load(tmp_path / "index")):
        assert (len(one), one.dim) == (rows, K)
        found = one.search(QUERIES, 3)
        check_form(found, Q, 3)
        assert ((found.rows >= 0).sum(1) == rows).all()
        assert one.vectors(np.zeros(0, np.int64)).shape == (0, K)
        assert (one.subset(np.zeros(0, np.int64)).search(QUERIES, 2).rows == -1).all()


@every_index
def test_no_queries(name: str, built: dict[str, VectorIndex]) -> None:
    check_form(built[name].search(QUERIES[:0], 4), 0, 4)


@every_index
def test_saved_and_loaded_it_finds_the_same(name: str, built: dict[str, VectorIndex], tmp_path: Path) -> None:
    index = built[name]
    index.save(tmp_path / "index")
    loaded = type(index).load(tmp_path / "index")
    assert (len(loaded), loaded.dim, loaded.effort, loaded.most_effort, loaded.size_bytes) == (
        len(index),
        index.dim,
        index.effort,
        index.most_effort,
        index.size_bytes,
    )
    allowed = np.random.default_rng(5).random(C) < 0.2
    for mask in (None, allowed):
        before, after = index.search(QUERIES, 15, mask), loaded.search(QUERIES, 15, mask)
        np.testing.assert_array_equal(before.rows, after.rows)
        np.testing.assert_array_equal(before.scores, after.scores)
    some = np.array([5, 2999, 0])
    np.testing.assert_array_equal(index.vectors(some), loaded.vectors(some))
    loaded.save(tmp_path / "again")
    for file in sorted(p for p in (tmp_path / "index").rglob("*") if p.is_file()):
        assert file.read_bytes() == (tmp_path / "again" / file.relative_to(tmp_path / "index")).read_bytes()


@every_index
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs the memory map of the process")
def test_large_files_are_mapped(name: str, built: dict[str, VectorIndex], tmp_path: Path) -> None:
    built[name].save(tmp_path / "index")
    large = list((tmp_path / "index" / MAPPED).iterdir())
    loaded = type(built[name]).load(tmp_path / "index")
    for path in large:
        assert str(path) in Path("/proc/self/maps").read_text()
    assert len(loaded) == C


@every_index
def test_a_subset_is_searched_exactly(name: str, built: dict[str, VectorIndex]) -> None:
    rows = np.sort(np.random.default_rng(6).choice(C, 70, replace=False))
    found = built[name].subset(rows).search(QUERIES, 80)
    check_form(found, Q, 80)
    for query, mine in zip(QUERIES, found.rows, strict=True):
        best = naive(built[name].vectors(rows), query, 70)
        exact = rows[best]
        scores = VECTORS[rows[mine[:70]]] @ query
        np.testing.assert_allclose(scores, VECTORS[exact] @ query, rtol=2e-3, atol=2e-3)
        assert set(mine[:70].tolist()) == set(range(70))


@every_index
@pytest.mark.parametrize("factor", [1e-25, 1e-6, 1e6, 1e25])
def test_the_size_of_the_vectors_does_not_matter(name: str, built: dict[str, VectorIndex], factor: float) -> None:
    index = build(name, VECTORS * np.float32(factor))
    before, after = built[name].search(QUERIES, 10), index.search(QUERIES, 10)
    assert np.mean(before.rows == after.rows) > 0.97
    np.testing.assert_allclose(after.scores / factor, before.scores, rtol=1e-3)


@every_index
def test_zeros_are_vectors_too(name: str) -> None:
    found = build(name, np.zeros((40, K), np.float32)).search(QUERIES[:2], 5)
    check_form(found, 2, 5)
    assert (found.scores == 0.0).all()


@every_index
def test_more_effort_never_finds_less(name: str, built: dict[str, VectorIndex]) -> None:
    index = built[name]
    if not index.most_effort:
        assert index.effort == 0 and name not in APPROXIMATE
        return
    shares = [recall(index.with_effort(n, 10).search(QUERIES, 10), 10) for n in (1, 4, 16, index.most_effort)]
    assert shares[0] < shares[-1] and shares[-1] > 0.97
    assert all(after >= before - 0.02 for before, after in pairwise(shares))
    assert index.effort == APPROXIMATE[name], "the index itself stays as it is"


@every_index
def test_threads_do_not_change_what_is_found(name: str, built: dict[str, VectorIndex]) -> None:
    index = built[name]
    once = index.search(QUERIES, 10, threads=1)
    twice = index.search(QUERIES, 10, threads=2)
    np.testing.assert_array_equal(once.rows, twice.rows)
    allowed = np.random.default_rng(7).random(C) < 0.3
    masked = index.search(QUERIES, 10, allowed)
    with ThreadPoolExecutor(4) as pool:
        masks = [None, allowed] * 20
        for mask, found in zip(masks, pool.map(lambda m: index.search(QUERIES, 10, m), masks), strict=True):
            np.testing.assert_array_equal(found.rows, (once if mask is None else masked).rows)


@every_index
def test_what_is_given_stays_as_it_is(name: str) -> None:
    vectors, queries, allowed = VECTORS[:200].copy(), QUERIES.copy(), np.arange(200) % 2 == 0
    build(name, vectors).search(queries, 5, allowed)
    assert (vectors == VECTORS[:200]).all() and (queries == QUERIES).all() and allowed.sum() == 100


@every_index
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda index: index.search(QUERIES, 0), "k: got 0, allowed is a whole number >= 1"),
        (lambda index: index.search(QUERIES[:, :5], 3), "the index wants numbers [queries, 12]"),
        (lambda index: index.search(QUERIES[0], 3), "queries are float32 [12]"),
        (lambda index: index.search(QUERIES.astype(str), 3), "the index wants numbers"),
        (lambda index: index.search(np.where(np.arange(K) == 3, np.nan, QUERIES), 3), "queries, row 1: has a number"),
        (lambda index: index.search(QUERIES, 3, np.ones(5, bool)), "the mask is bool [5], the index wants bool [3000]"),
        (lambda index: index.search(QUERIES, 3, np.ones(C)), "the mask is float64 [3000]"),
        (lambda index: type(index).build(index.config, VECTORS[0]), "vectors are float32 [12]"),
        (lambda index: type(index).build(index.config, np.zeros((3, 0), np.float32)), "vectors are float32 [3, 0]"),
        (
            lambda index: type(index).build(index.config, np.where(np.arange(C)[:, None] == 7, np.inf, VECTORS)),
            "vectors, row 8: has a number that is not finite",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    name: str, call: Any, words: str, built: dict[str, VectorIndex]
) -> None:
    with pytest.raises((ConfigError, DataError), match=re.escape(words)) as caught:
        call(built[name])
    assert "\n" not in str(caught.value)


@every_index
def test_damage_to_what_is_not_mapped_is_an_error(name: str, built: dict[str, VectorIndex], tmp_path: Path) -> None:
    built[name].save(tmp_path / "index")
    for path in sorted(p for p in (tmp_path / "index").rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2], whole[:-1] if path.suffix != ".json" else b"[]"):
            path.write_bytes(damaged)
            with pytest.raises(ClickwiseError):
                type(built[name]).load(tmp_path / "index")
        path.unlink()
        with pytest.raises((ClickwiseError, OSError)):
            type(built[name]).load(tmp_path / "index")
        path.write_bytes(whole)


@every_index
def test_flipped_bits_of_what_is_mapped_do_no_harm(name: str, built: dict[str, VectorIndex], tmp_path: Path) -> None:
    built[name].save(tmp_path / "index")
    rng = np.random.default_rng(8)
    allowed = rng.random(C) < 0.3
    for path in (tmp_path / "index" / MAPPED).iterdir():
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(10):
            flipped = whole.copy()
            flipped[rng.integers(0, len(whole), len(whole) // 20)] ^= np.uint8(1 << int(rng.integers(0, 8)))
            flipped[:128] = whole[:128]
            path.write_bytes(flipped.tobytes())
            index = type(built[name]).load(tmp_path / "index")
            works: list[Callable[[VectorIndex], Found]] = [
                lambda one: one.search(QUERIES, 10),
                lambda one: one.search(QUERIES, 10, allowed),
                lambda one: one.subset(np.arange(0, C, 7)).search(QUERIES, 10),
            ]
            for work in works:
                try:
                    found = work(index)
                    assert (found.rows < C).all() and (found.rows >= -1).all()
                    assert np.isneginf(found.scores[found.rows == -1]).all()
                except BundleError:
                    pass
