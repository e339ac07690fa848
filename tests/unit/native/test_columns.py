"""Kernels over Arrow columns against plain Python, on the layouts that Arrow allows and on some that it does not."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from clickwise.features.sampling import splitmix64
from clickwise.native import columns, kernels

WORDS = ["", "a", "ab", "abc", "1234567", "12345678", "123456789", "é", "日本語", "x" * 31, "y" * 32, "z" * 4097]


def _cells(n: int, seed: int = 0) -> list[str | None]:
    source = random.Random(seed)
    return [
        source.choice([*WORDS, None, f"{source.randrange(300):08x}", str(source.randrange(10**9))]) for _ in range(n)
    ]


def _forms(cells: list[str | None]) -> list[pa.Array]:
    """The cells in every layout: narrow, wide, bytes, cut out of something longer (null bits begin inside a byte)."""
    longer = pa.array(["first", None, "other", *cells, "last", None])
    cut = longer[3 : 3 + len(cells)]
    whole = pa.array(cells, pa.string())
    return [whole, whole.cast(pa.large_string()), whole.cast(pa.binary()), cut, longer.cast(pa.large_string())[3:-2]]


def _bytes(cells: list[str | None]) -> list[bytes]:
    return [b"" if cell is None else cell.encode() for cell in cells]


@pytest.mark.parametrize("n", [0, 1, 7, 64, 65, 1000])
def test_hash_survey_and_buckets(isa: str, n: int) -> None:
    cells = _cells(n)
    for seed in (0, 7, 2**64 - 1):
        wanted = [xxhash.xxh64_intdigest(cell, seed) for cell in _bytes(cells)]
        ids = [0 if not cell else 2 + hash_ % 97 for cell, hash_ in zip(cells, wanted, strict=True)]
        for form in _forms(cells):
            assert columns.xxh64(form, seed).tolist() == wanted
            assert columns.buckets(form, seed, 97, 2, 0).tolist() == ids
            assert columns.survey(form)[0] == max(map(len, _bytes(cells)), default=0)
    assert columns.survey(pa.array(["a", None, "~"])) == (1, True)
    assert columns.survey(pa.array(["a", "é"])) == (2, False)


def test_every_length_of_text(isa: str) -> None:
    source = random.Random(1)
    texts = [source.randbytes(length) for length in range(300)]
    assert columns.xxh64(pa.array(texts), 3).tolist() == [xxhash.xxh64_intdigest(text, 3) for text in texts]


def _lookup(tokens: list[str], hashes: np.ndarray) -> columns.Lookup:
    order = np.argsort(hashes)
    return columns.Lookup(0, hashes[order], (order + 2).astype(np.int32))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 300, 5000])
def test_look_up(isa: str, size: int) -> None:
    tokens = [f"{i:x}" for i in range(size)]
    lookup = _lookup(tokens, columns.xxh64(pa.array(tokens, pa.string()), 0))
    id_of = {token: i + 2 for i, token in enumerate(tokens)} | {"": 0, None: 0}
    cells = [*_cells(500), *tokens, None]
    for form in _forms(cells):
        assert lookup.find(form, 1, 0).tolist() == [id_of.get(cell, 1) for cell in cells]


def test_look_up_where_all_fingerprints_begin_alike(isa: str) -> None:
    text = pa.array([f"t{i}" for i in range(1000)])
    hashes = columns.xxh64(text, 0)
    near = np.unique(np.concatenate([hashes[:1], hashes[0] // 2**12 * 2**12 + np.arange(900, dtype=np.uint64)]))
    lookup = columns.Lookup(0, near, np.arange(2, 2 + len(near), dtype=np.int32))
    wanted = [2 + int(np.searchsorted(near, hashes[0]))] + [1] * 999
    assert lookup.find(text, 1, 0).tolist() == wanted


@pytest.mark.parametrize("n", [0, 1, 100, 20_000])
def test_counter(isa: str, n: int) -> None:
    cells = _cells(n, seed=n)
    counter, wanted = columns.Counter(), Counter[str]()
    for start in range(0, n + 1, 701):
        chunk = cells[start : start + 701]
        for form in _forms(chunk):
            different = counter.add(form, start)
            assert different == len(set(filter(None, chunk)))
            wanted.update(filter(None, chunk))
    tokens = counter.tokens()
    tokens.validate(full=True)
    count, error = counter.counts()
    assert dict(zip(tokens.to_pylist(), count.tolist(), strict=True)) == wanted
    assert len(set(tokens.to_pylist())) == len(counter)
    assert tokens.to_pylist() == list(dict.fromkeys(filter(None, cells)))
    kept = {token for token, c, e in zip(tokens.to_pylist(), count, error, strict=True) if c + e > 40}
    counter.drop(40)
    assert set(counter.tokens().to_pylist()) == kept
    counter.add(pa.array(WORDS), 0)
    assert set(counter.tokens().to_pylist()) == kept | set(WORDS[1:])


def test_numbers_equal_those_of_arrow(isa: str) -> None:
    source = random.Random(2)
    cells = [str(source.randrange(-(10**6), 10**6)) for _ in range(500)]
    cells += [f"{source.uniform(-1, 1) * 10 ** source.randrange(5):.{source.randrange(1, 10)}f}" for _ in range(3000)]
    cells += ["0", "-0", "00012", "999999999999999", "0.00000000000001", "0.1", "-12345.6789"]
    holes = [None if source.random() < 0.2 else cell for cell in cells]
    for form in _forms(holes):
        found = columns.numbers(form)
        assert found is not None
        found.validate(full=True)
        exact = [None if cell is None else float(cell) for cell in holes]
        assert found.to_pylist() == exact
        assert found.null_count == holes.count(None)
    assert math.copysign(1, columns.numbers(pa.array(["-0"]))[0].as_py()) == -1  # type: ignore[index]
    assert columns.numbers(pa.array([], pa.string())).to_pylist() == []  # type: ignore[union-attr]
    assert columns.numbers(pa.array(["", "3", None])).to_pylist() == [None, 3.0, None]  # type: ignore[union-attr]


ODD = ["+1", " 1", "1 ", "1e3", "nan", "inf", "1.", ".5", "-", ".", "--1", "1-", "1.2.3", "0x1", "1,5", "x", "１"]


@pytest.mark.parametrize("cell", [*ODD, "1234567890123456", "0.1234567890123456"])
def test_numbers_written_otherwise_are_left_to_arrow(isa: str, cell: str) -> None:
    assert columns.numbers(pa.array(["1", cell, "2"])) is None


@pytest.mark.parametrize("size", [0, 1, 2, 3, 31, 32, 99, 1000])
def test_places(isa: str, size: int) -> None:
    rng = np.random.default_rng(size)
    cuts = np.unique(rng.integers(-500, 500, size).astype(float))
    x = np.concatenate([rng.integers(-510, 510, 1000), cuts, cuts + 0.5, [np.nan, np.inf, -np.inf]])
    wanted = np.where(np.isnan(x), -1, 2 + np.searchsorted(cuts, x, side="right"))
    assert columns.places(x, cuts, 2, -1).tolist() == wanted.tolist()


@pytest.mark.parametrize("limit", [0, 2**62, 2**64 - 1])
def test_sample(isa: str, limit: int) -> None:
    x = np.where(np.arange(999) % 7 == 0, np.nan, np.arange(999.0))
    there = x[~np.isnan(x)]
    hashes = splitmix64(np.arange(50, 50 + len(there), dtype=np.uint64) ^ np.uint64(3))
    low = hashes <= np.uint64(limit)
    found, values, counted = columns.sample(x, 50, 3, limit)
    assert (found.tolist(), values.tolist(), counted) == (hashes[low].tolist(), there[low].tolist(), len(there))


def test_buffers_that_lead_astray_are_refused(isa: str) -> None:
    data, none, out = np.zeros(4, np.uint8), np.zeros(0, np.uint8), np.zeros(2, np.uint64)
    for offsets in ([0, 3, 2], [-1, 0, 2], [0, 2, 5]):
        for width in (np.int32, np.int64):
            with pytest.raises(ValueError, match="offsets fall"):
                kernels().hash_text(data, np.array(offsets, width), none, 0, 0, out)
    with pytest.raises(ValueError, match="validity is shorter"):
        kernels().hash_text(data, np.array([0, 1, 2], np.int32), np.zeros(1, np.uint8), 7, 0, out)
    with pytest.raises(ValueError, match=r"out is not \[n\]"):
        kernels().hash_text(data, np.array([0, 1], np.int32), none, 0, 0, out)
    with pytest.raises(ValueError, match="first is not"):
        kernels().fingerprint_directory(np.zeros(0, np.uint64), np.zeros(4, np.int32))
