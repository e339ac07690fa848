from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from clickwise.features import fingerprints
from clickwise.features.fingerprints import Fingerprints
from clickwise.features.xxh64 import xxh64
from clickwise.native import columns


def test_each_token_is_found_and_no_other() -> None:
    tokens = pa.array([f"t{i}" for i in range(1000)])
    index = Fingerprints.build(tokens, 2)
    assert index.seed == 0
    assert index.find(tokens, 1, 0).tolist() == list(range(2, 1002))
    assert index.find(pa.array(["t1000", "", "t7"]), 1, 0).tolist() == [1, 0, 9]
    assert (np.diff(index.hashes.astype(object)) > 0).all()


def test_many_look_ups_in_a_large_table_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = pa.array([f"t{i}" for i in range(2000)])
    monkeypatch.setattr(columns, "compiled", lambda: False)
    index = Fingerprints.build(tokens.slice(0, 1500), 2)
    plain = index.find(tokens, 1, 0)
    monkeypatch.setattr(fingerprints, "_LARGE", 10)
    assert index.find(tokens, 1, 0).tolist() == plain.tolist() == [*range(2, 1502), *[1] * 500]


def test_an_empty_map_knows_nothing() -> None:
    index = Fingerprints.build(pa.array([], pa.string()), 2)
    assert index.find(pa.array(["a", "b"]), 1, 0).tolist() == [1, 1]


def test_a_collision_moves_on_to_the_next_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def colliding(tokens: pa.Array, seed: int) -> np.ndarray:
        return xxh64(tokens, seed) % np.uint64(3 if seed < 2 else 2**63)

    monkeypatch.setattr(fingerprints, "xxh64", colliding)
    monkeypatch.setattr(columns, "compiled", lambda: False)
    tokens = pa.array(["a", "b", "c", "d"])
    index = Fingerprints.build(tokens, 2)
    assert index.seed == 2
    assert index.find(tokens, 1, 0).tolist() == [2, 3, 4, 5]
