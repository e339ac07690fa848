from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clickwise.errors import BundleError
from clickwise.retrieval import clusters, faiss_index
from clickwise.retrieval.clusters import clustered
from clickwise.retrieval.faiss_index import FaissIndex
from clickwise.retrieval.faiss_library import exponent_of, faiss_module, faiss_threads, found_by_faiss, halves, whole
from clickwise.retrieval.half_lists import HalfLists

faiss = faiss_module()


def test_threads_are_put_back() -> None:
    before = faiss.omp_get_max_threads()
    with pytest.raises(ZeroDivisionError), faiss_threads(faiss, before + 3):
        assert faiss.omp_get_max_threads() == before + 3
        raise ZeroDivisionError
    assert faiss.omp_get_max_threads() == before


@pytest.mark.parametrize("first", ["torch", "faiss"])
def test_torch_and_faiss_in_one_process(first: str) -> None:
    """Whichever comes first: both compute, also at the same time, and torch keeps its threads."""
    code = f"""
import {first}, threading, numpy as np, faiss, torch
from clickwise.retrieval.faiss_index import FaissIndex
torch.set_num_threads(2)
rng = np.random.default_rng(0)
x = rng.normal(size=(2000, 16)).astype(np.float32)
index = FaissIndex.build(FaissIndex.Config(exact_up_to=0, lists=20), x, 2)
want = index.search(x[:5], 3).rows
bad = []
def search():
    for _ in range(20):
        bad.extend((index.search(x[:5], 3, threads=2).rows != want).ravel().nonzero()[0].tolist())
        bad.extend((index.search(x[:1], 3).rows != want[:1]).ravel().nonzero()[0].tolist())
threads = [threading.Thread(target=search) for _ in range(2)]
[t.start() for t in threads]
a = torch.ones(200, 200)
for _ in range(10):
    bad.extend([] if float((a @ a)[0, 0]) == 200.0 else ["torch"])
[t.join() for t in threads]
search()
assert not bad, bad
assert torch.get_num_threads() == 2, torch.get_num_threads()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("size", [0.0, 1e-38, 3e-5, 1.0, 65504.0, 3e38])
def test_half_precision_keeps_eleven_bits_of_any_size(size: float) -> None:
    x = (np.random.default_rng(0).normal(size=(50, 3)) / 10 * size).astype(np.float32)
    exponent = exponent_of(x)
    codes = halves(x, exponent)
    assert codes.dtype == np.float16 and np.isfinite(codes).all()
    large = np.abs(x) > np.abs(x).max() * 2.0**-27
    np.testing.assert_allclose(whole(codes, exponent)[large], x[large], rtol=2.0**-11)
    assert exponent == exponent_of(-x)


@pytest.mark.parametrize("dim", [1, 3, 8])
def test_lists_give_back_what_they_were_given(dim: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, of = rng.normal(size=(101, dim)).astype(np.float32), rng.integers(0, 7, 101)
    of[of == 3] = 4  # an empty list
    lists = HalfLists.made(faiss, x, 2, of, 7)
    rows = rng.permutation(101)
    np.testing.assert_array_equal(lists.codes(rows), (x[rows] * 4).astype(np.float16))
    assert lists.sizes.tolist() == np.bincount(of, minlength=7).tolist() and lists.sizes[3] == 0
    for number in range(7):
        size = int(lists.sizes[number])
        seen = faiss.rev_swig_ptr(lists.view.get_ids(number), size) if size else np.zeros(0)
        assert seen.tolist() == np.flatnonzero(of == number).tolist()
        if size:
            codes = faiss.rev_swig_ptr(lists.view.get_codes(number), 2 * dim * size).view(np.float16)
            np.testing.assert_array_equal(codes.reshape(size, dim), (x[of == number] * 4).astype(np.float16))
    lists.save(tmp_path / "lists.bin")
    with pytest.raises(BundleError, match="is not as large as its lists are"):
        HalfLists(faiss, str(tmp_path / "lists.bin"), lists.sizes + 1, dim)


def test_rows_that_there_are_not_are_damage(tmp_path: Path) -> None:
    x = np.random.default_rng(2).normal(size=(64, 4)).astype(np.float32)
    FaissIndex.build(FaissIndex.Config(), x, 1).save(tmp_path / "index")
    path = tmp_path / "index" / "mapped" / "lists.bin"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 0x40  # the sign and size of the last row number
    path.write_bytes(damaged)
    index = FaissIndex.load(tmp_path / "index")
    with pytest.raises(BundleError, match="rows that there are not"):
        index.search(x, 64)
    with pytest.raises(BundleError, match="rows that there are not"):
        index.vectors(np.arange(3))


def test_a_search_starts_no_threads_that_read_ahead() -> None:
    x = np.random.default_rng(2).normal(size=(64, 4)).astype(np.float32)
    assert FaissIndex.build(FaissIndex.Config(), x, 1)._lists.view.prefetch_nthread == 0


def test_so_many_lists() -> None:
    x = np.random.default_rng(3).normal(size=(900, 4)).astype(np.float32)
    configs = {
        (): 1,
        (("exact_up_to", 900),): 1,
        (("exact_up_to", 899),): 30,
        (("exact_up_to", 0), ("lists", 7)): 7,
        (("exact_up_to", 0), ("lists", 5000)): 900,
    }
    for keys, lists in configs.items():
        index = FaissIndex.build(FaissIndex.Config(**dict(keys)), x, 1)
        assert index.most_effort == (lists if lists > 1 else 0)
    assert faiss_index.EXACT_UP_TO == 200_000


def test_vectors_of_one_length_are_parted_by_direction_and_others_by_distance() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 4)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    centres, of = clustered(faiss, unit, 0, 20, 0, 1)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1.0, rtol=1e-5)
    assert (np.argmax(unit @ centres.T, axis=1) == of).mean() > 0.999
    centres, of = clustered(faiss, x, 0, 20, 0, 1)
    nearest = np.argmin(((x[:, None] - centres) ** 2).sum(2), axis=1)
    assert (nearest == of).mean() > 0.999
    again = clustered(faiss, x, 0, 20, 0, 3)
    np.testing.assert_array_equal(again[0], centres)
    np.testing.assert_array_equal(again[1], of)


def test_long_vectors_are_found_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of very different lengths, as popular items get them: centres that have lengths too lead to them."""
    rng = np.random.default_rng(5)
    x = (rng.normal(size=(4000, 8)) * rng.lognormal(0, 1, (4000, 1))).astype(np.float32)
    queries = rng.normal(size=(40, 8)).astype(np.float32)
    best = np.argsort(-(queries @ x.T), axis=1)[:, :10]

    def recall() -> float:
        index = FaissIndex.build(FaissIndex.Config(exact_up_to=0, lists=64), x, 1).with_effort(12, 10)
        found = index.search(queries, 10).rows
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), best.tolist(), strict=True)]))

    assert recall() > 0.85
    monkeypatch.setattr(clusters, "_SAME_LENGTH", np.inf)
    assert recall() < 0.8


def test_what_faiss_did_not_find_has_no_score() -> None:
    lowest = np.finfo(np.float32).min
    found = found_by_faiss(np.array([[6.0, lowest]], np.float32), np.array([[4, -1]]), 1)
    assert found.rows.tolist() == [[4, -1]] and found.scores.tolist() == [[3.0, -np.inf]]
    assert found_by_faiss(np.array([[6.0]], np.float32), np.array([[4]]), -130).scores[0, 0] == np.inf


def test_no_list_is_left_empty_where_vectors_differ_and_equal_ones_do_no_harm() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(4000, 5)).astype(np.float32)
    centres, of = clustered(faiss, x, 0, 50, 0, 1)
    assert (np.bincount(of, minlength=50) > 0).all() and np.isfinite(centres).all()
    means = np.stack([x[of == number].mean(0) for number in range(50)])
    spread = ((x - means[of]) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    assert spread < 0.285  # 0.37 around centres picked at random, 0.277 after many rounds
    centres, of = clustered(faiss, np.ones((300, 5), np.float32), 0, 10, 0, 1)
    assert np.isfinite(centres).all() and len(set(of.tolist())) == 1
    centres, of = clustered(faiss, np.zeros((300, 5), np.float32), 0, 10, 0, 1)
    assert np.isfinite(centres).all()
