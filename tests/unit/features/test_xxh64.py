from __future__ import annotations

import random
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from clickwise.features.xxh64 import xxh64

PUBLISHED = [  # text, seed, hash
    ("", 0, 0xEF46DB3751D8E999),
    ("", 1, 0xD5AFBA1336A3BE4B),
    ("a", 0, 0xD24EC4F1A98C6E5B),
    ("abc", 0, 0x44BC2CF5AD770999),
    ("Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
]


@pytest.mark.parametrize(("text", "seed", "wanted"), PUBLISHED)
def test_published_vectors_one_by_one_and_many_at_once(text: str, seed: int, wanted: int) -> None:
    assert xxh64(pa.array([text]), seed).tolist() == [wanted]
    assert xxh64(pa.array([text] * 50), seed).tolist() == [wanted] * 50


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
@pytest.mark.parametrize("copies", [1, 9], ids=["few", "many"])
def test_every_length_equals_the_xxhash_package(seed: int, copies: int) -> None:
    source = random.Random(seed)
    texts = [source.randbytes(length) for length in range(140) for _ in range(copies)]
    source.shuffle(texts)
    array = pa.array(texts)
    for form in (array, array[3:77], array.cast(pa.large_binary()), pa.array(texts[:3])):
        wanted = [xxhash.xxh64_intdigest(t, seed) for t in form.to_pylist()]
        assert xxh64(form, seed).tolist() == wanted


def test_texts_of_one_length_and_apart_in_memory() -> None:
    texts = [f"{i:08x}" for i in range(100)]
    wanted = [xxhash.xxh64_intdigest(t.encode()) for t in texts]
    assert xxh64(pa.array(texts)).tolist() == wanted
    with_gaps = pa.array([t if i % 2 else None for i, t in enumerate(texts)])
    assert xxh64(with_gaps)[1::2].tolist() == wanted[1::2]


def test_null_counts_as_empty_text_and_empty_array_is_fine() -> None:
    assert xxh64(pa.array([None, ""])).tolist() == [PUBLISHED[0][2]] * 2
    assert xxh64(pa.array([], pa.string())).shape == (0,)
    assert xxh64(pa.array([], pa.string())).dtype == np.uint64


def test_a_text_of_a_megabyte_is_quick() -> None:
    text = "click" * 200_000
    start = time.process_time()
    assert xxh64(pa.array([text])).tolist() == [xxhash.xxh64_intdigest(text.encode())]
    assert time.process_time() - start < 2


def test_another_process_gives_the_same() -> None:
    code = "import pyarrow as pa; from clickwise.features.xxh64 import xxh64; print(xxh64(pa.array(['ad']), 5)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == int(xxh64(pa.array(["ad"]), 5)[0]) == xxhash.xxh64_intdigest(b"ad", 5)
