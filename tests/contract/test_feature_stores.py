"""What every kind of feature store must do. Redis is a real server, started here where there is one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import BundleError, DataError
from clickwise.features.pipeline import Encoded
from clickwise.serving.features.entity import MAX_KEY_BYTES
from clickwise.serving.features.layout import Layout
from clickwise.serving.features.opening import open_loader, open_stores
from clickwise.serving.features.store import FeatureStore
from feature_stores import USER, encoded, fitted, layout_of, rows, same

DATA = rows(60, seed=1)
KEYS = DATA.column("user_id")
ASKED = pa.array(["u3", None, "nobody", "u0", "", "u3", "u" * (MAX_KEY_BYTES + 1), "u" * 600])
KNOWN = [0, 3, 5]
PLACES = [3, 0, 3]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        pytest.skip("there is no redis-server here; `apt-get install redis-server` gives one")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([binary, *quiet], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(params=["snapshot", "lmdb", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param != "redis":
        return f"{request.param}:{tmp_path / 'store'}"
    url = request.getfixturevalue("redis_url")
    import redis

    redis.Redis.from_url(url).flushdb()
    return str(url)


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(fitted())


def load(
    place: str, layout: Layout, keys: pa.Array = KEYS, data: pa.RecordBatch = DATA, ago_s: float = 0.0, each: int = 25
) -> None:
    records = layout.pack(keys, encoded(layout, data), time.time() - ago_s)
    with open_loader(place).loading(layout) as writer:
        for start in range(0, len(keys), each):
            writer.write(keys[start : start + each], records[start : start + each])


@contextmanager
def opened(place: str) -> Iterator[FeatureStore]:
    with open_stores([replace(USER, store=place, timeout_s=10.0)]) as stores:
        yield stores.by_name["user"]


def picked(all_rows: Encoded, places: list[int]) -> Encoded:
    return Encoded(*(None if part is None else part[places] for part in all_rows))  # type: ignore[arg-type]


def test_values_come_back_and_others_are_missing(place: str, layout: Layout) -> None:
    load(place, layout)
    with opened(place) as store:
        store.check(layout)
        found = store.get(layout, ASKED)
        nothing = store.get(layout, pa.array([], pa.string()))
    assert np.flatnonzero(found.known).tolist() == KNOWN
    assert found.reached and found.refused == 0 and len(nothing.known) == 0
    assert same(picked(found.rows, KNOWN), picked(encoded(layout, DATA), PLACES))
    null = pa.RecordBatch.from_arrays([pa.nulls(8, pa.string())] * len(layout.columns), names=list(layout.columns))
    unknown = [1, 2, 4, 6, 7]
    assert same(picked(found.rows, unknown), picked(layout.part.encode(null), unknown))
    assert np.isnan(found.written_s[unknown]).all()
    assert np.abs(found.written_s[KNOWN] - time.time()).max() < 60


def test_the_last_row_of_a_key_wins(place: str, layout: Layout) -> None:
    twice = pa.concat_arrays([KEYS, KEYS[:10]])
    data = pa.Table.from_batches([DATA, rows(10, seed=9)]).combine_chunks().to_batches()[0]
    load(place, layout, twice, data)
    with opened(place) as store:
        found = store.get(layout, KEYS)
    last = [*range(60, 70), *range(10, 60)]
    assert found.known.all() and same(found.rows, picked(encoded(layout, data), last))


def test_loaded_again(place: str, layout: Layout) -> None:
    load(place, layout, KEYS[:40], DATA.slice(0, 40))
    load(place, layout, KEYS[20:], DATA.slice(20))
    with opened(place) as store:
        found = store.get(layout, KEYS)
    kept = 20 if place.startswith("snapshot") else 0  # a snapshot is new as a whole
    assert np.flatnonzero(found.known).tolist() == list(range(kept, 60))


def test_versions_that_encode_differently_stand_side_by_side(place: str, layout: Layout) -> None:
    other = layout_of(fitted(seed=5), digest="other")
    load(place, layout)
    with opened(place) as store:
        with pytest.raises(BundleError, match=r"by other features.*`clickwise features load"):
            store.check(other)
        assert not store.get(other, KEYS).known.any()
    load(place, other)
    with opened(place) as store:
        store.check(layout)
        store.check(other)
        for each in (layout, other):
            assert same(store.get(each, KEYS).rows, encoded(each, DATA))


def test_nothing_was_loaded_of_an_entity(place: str, layout: Layout) -> None:
    load(place, layout)
    nobody = layout_of(fitted(), name="nobody")
    with opened(place) as store:
        store.check(nobody)
        assert not store.get(nobody, KEYS).known.any()


def test_old_values_are_not_used(place: str, layout: Layout) -> None:
    load(place, layout, KEYS[:30], DATA.slice(0, 30))
    if not place.startswith("snapshot"):
        load(place, layout, KEYS[30:], DATA.slice(30), ago_s=100.0)
    else:
        load(place, layout, ago_s=100.0)
    fresh = replace(layout.entity, ttl_s=50.0)
    short = layout_of(fitted(), ttl_s=50.0)
    assert short.stamp == layout.stamp and short.entity == fresh
    with opened(place) as store:
        assert store.get(layout, KEYS[30:]).known.all()
        found = store.get(short, KEYS)
    known = 0 if place.startswith("snapshot") else 30
    assert np.flatnonzero(found.known).tolist() == list(range(known))
    assert same(picked(found.rows, [59]), picked(layout.nothing(1).rows, [0]))


def test_values_of_other_features_or_keys_are_never_misread(place: str, layout: Layout) -> None:
    """Stored under names that are not theirs, by a stranger."""
    records = layout.pack(KEYS, encoded(layout, DATA), time.time())
    records["stamp"][5] += 1  # and the check sum does not fit
    records["sparse"][6, 0] += 1
    records["magic"][7] = b"CWF9"
    foreign = layout_of(fitted(seed=5), digest="other")
    records[8] = foreign.pack(KEYS[8:9], encoded(foreign, DATA.slice(8, 1)), time.time())[0]
    records[[9, 10]] = records[[10, 9]]
    with open_loader(place).loading(layout) as writer:
        writer.write(KEYS, records)
    with opened(place) as store:
        found = store.get(layout, KEYS)
    assert np.flatnonzero(~found.known).tolist() == [5, 6, 7, 8, 9, 10] and found.refused == 6
    assert same(picked(found.rows, [5]), picked(layout.nothing(1).rows, [0]))


def test_no_rows_no_snapshot(tmp_path: Path, layout: Layout) -> None:
    with pytest.raises(DataError, match="no rows"), open_loader(f"snapshot:{tmp_path / 's'}").loading(layout):
        pass
    assert list(tmp_path.rglob("*manifest*")) == []
