"""Records of the feature store: what is packed comes back bit for bit, and no changed byte is ever believed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.features.pipeline import Encoded
from feature_stores import encoded, fitted, layout_of, rows, same

LAYOUT = layout_of(fitted())
DATA = rows(64, seed=3)
ROWS = encoded(LAYOUT, DATA)
SIZE = LAYOUT.dtype.itemsize

keys = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1, max_size=20)


def some(count: int, first: int) -> Encoded:
    at = (np.arange(count) + first) % 64
    return Encoded(*(None if part is None else part[at] for part in ROWS))  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(names=keys, first=st.integers(0, 63), written=st.floats(0, 4e9))
def test_what_is_packed_comes_back(names: list[str], first: int, written: float) -> None:
    given_keys, values = pa.array(names), some(len(names), first)
    raw = LAYOUT.pack(given_keys, values, written).tobytes()
    found = LAYOUT.unpack_bytes(given_keys, [raw[i * SIZE : (i + 1) * SIZE] for i in range(len(names))])
    assert found.known.all() and found.refused == 0 and (found.written_s == written).all()
    assert same(found.rows, values)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, SIZE - 1), change=st.integers(1, 255), row=st.integers(0, 63))
def test_a_changed_byte_is_refused(place: int, change: int, row: int) -> None:
    key = pa.array([f"u{row}"])
    raw = bytearray(LAYOUT.pack(key, some(1, row), 1e9).tobytes())
    raw[place] ^= change
    found = LAYOUT.unpack_bytes(key, [bytes(raw)])
    assert not found.known.any() and found.refused == 1
    assert same(found.rows, LAYOUT.nothing(1).rows)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.none() | st.binary(max_size=2 * SIZE), min_size=1, max_size=8))
def test_strange_bytes_are_refused(values: list[bytes | None]) -> None:
    found = LAYOUT.unpack_bytes(pa.array([f"u{i}" for i in range(len(values))]), values)
    assert not found.known.any() and found.refused == sum(value is not None for value in values)
