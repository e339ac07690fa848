"""What is special of each kind of store: a snapshot that is damaged or replaced, LMDB read while it is written to, a
Redis that is gone or slow.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import BundleError, DataError
from clickwise.serving.features.layout import Layout
from clickwise.serving.features.opening import open_loader, open_stores
from clickwise.serving.features.redis_store import RedisStore
from clickwise.serving.features.snapshot import HASHES, PLACES, VALUES, SnapshotStore
from feature_stores import USER, encoded, fitted, layout_of, rows, same

DATA = rows(50, seed=1)
KEYS = DATA.column("user_id")


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(fitted())


def load(place: str, layout: Layout, data: pa.RecordBatch = DATA) -> None:
    keys = data.column("user_id")
    with open_loader(place).loading(layout) as writer:
        writer.write(keys, layout.pack(keys, encoded(layout, data), time.time()))


def snapshot(folder: Path, layout: Layout) -> Path:
    load(f"snapshot:{folder}", layout)
    return folder / f"user-{layout.stamp.hex()}"


@pytest.mark.parametrize("name", [VALUES, HASHES, PLACES, "manifest.json"])
def test_a_snapshot_that_was_cut_is_refused(tmp_path: Path, layout: Layout, name: str) -> None:
    file = snapshot(tmp_path, layout) / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BundleError, match="damaged"):
        SnapshotStore(tmp_path).check(layout)


def test_a_changed_byte_of_a_snapshot_changes_no_answer(tmp_path: Path, layout: Layout) -> None:
    """Fingerprints are checked when it is opened, records when they are read, places by whose record they lead to."""
    folder = snapshot(tmp_path, layout)
    expected = encoded(layout, DATA)
    chance = np.random.default_rng(0)
    for name in (VALUES, HASHES, PLACES):
        whole = (folder / name).read_bytes()
        for place in chance.integers(0, len(whole), 15):
            changed = bytearray(whole)
            changed[place] ^= 0x40
            (folder / name).write_bytes(bytes(changed))
            try:
                found = SnapshotStore(tmp_path).get(layout, KEYS)
            except BundleError:
                continue
            assert name != HASHES
            for mine, theirs in zip(found.rows, expected, strict=True):
                assert mine is not None and theirs is not None
                np.testing.assert_array_equal(mine[found.known], theirs[found.known])
            assert found.known.sum() >= 48
        (folder / name).write_bytes(whole)


def test_a_new_snapshot_takes_over_between_two_requests(tmp_path: Path, layout: Layout) -> None:
    store = SnapshotStore(tmp_path)
    assert not store.get(layout, KEYS).known.any()
    snapshot(tmp_path, layout)
    assert not store.get(layout, KEYS).known.any()
    store.refresh()
    assert same(store.get(layout, KEYS).rows, encoded(layout, DATA))
    new = rows(50, seed=2)
    load(f"snapshot:{tmp_path}", layout, new)
    assert same(store.get(layout, KEYS).rows, encoded(layout, DATA)), "what is mapped stays as it was"
    store.refresh()
    assert same(store.get(layout, KEYS).rows, encoded(layout, new))
    folder = tmp_path / f"user-{layout.stamp.hex()}"
    (folder / "manifest.json").write_text("{}")
    store.refresh()
    assert same(store.get(layout, KEYS).rows, encoded(layout, new)), "a damaged one changes nothing"


def test_no_half_of_a_snapshot_is_left(tmp_path: Path, layout: Layout) -> None:
    folder = snapshot(tmp_path, layout)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="enough"), open_loader(f"snapshot:{tmp_path}").loading(layout) as writer:
        writer.write(KEYS, layout.pack(KEYS, encoded(layout, DATA), 0.0))
        raise DataError("enough")
    assert sorted(tmp_path.rglob("*")) == before
    assert SnapshotStore(tmp_path).get(layout, KEYS).known.all() and folder.is_dir()


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from feature_stores import *
from clickwise.serving.features.opening import open_loader
layout = layout_of(fitted())
for turn in range(60):
    data = rows(50, seed=1 + turn % 2)
    keys = data.column("user_id")
    with open_loader(sys.argv[1]).loading(layout) as writer:
        writer.write(keys, layout.pack(keys, encoded(layout, data), float(turn)))
    print(turn, flush=True)
"""


@pytest.mark.slow
def test_lmdb_is_read_while_it_is_written_to(tmp_path: Path, layout: Layout) -> None:
    """Every look-up sees all 50 values of one turn: never a mixture, never one that is torn or missing."""
    place = f"lmdb:{tmp_path / 'store'}"
    load(place, layout)
    either = [encoded(layout, rows(50, seed=seed)) for seed in (1, 2)]
    tests = str(Path(__file__).resolve().parents[3])
    turns, problems = set[float](), list[str]()
    with open_stores([replace(USER, store=place)]) as stores:
        store = stores.by_name["user"]
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                found = store.get(layout, KEYS)
                whole = found.known.all() and found.refused == 0 and len(set(found.written_s.tolist())) == 1
                if not whole or not any(same(found.rows, one) for one in either):
                    problems.append(str(found))
                turns.add(float(found.written_s[0]))
                time.sleep(0.001)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        subprocess.run([sys.executable, "-c", WRITER, place, tests], check=True, capture_output=True)
        done.set()
        for reader in readers:
            reader.join()
        last = store.get(layout, KEYS)
    assert not problems and len(turns) > 5
    assert (last.written_s == 59.0).all()


def test_lmdb_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"no such thing" * 1000)
    with pytest.raises(BundleError, match="cannot be opened"):
        open_stores([replace(USER, store=f"lmdb:{tmp_path}")]).__enter__()


def test_a_redis_that_is_gone_costs_one_wait(layout: Layout) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        url = f"redis://:secret@127.0.0.1:{door.getsockname()[1]}/0"  # bound, and nobody listens
        store = RedisStore(url, timeout_s=5.0)
        store.check(layout)  # it may come
        found = store.get(layout, KEYS)
        assert not found.reached and not found.known.any()
        assert same(found.rows, layout.nothing(50).rows)
        with pytest.raises(DataError, match=r"redis://127.0.0.1:\d+/0: cannot be written to"):
            load(url, layout)
        store.close()
    assert "secret" not in store.place


def test_a_redis_that_does_not_answer_is_not_waited_for(layout: Layout) -> None:
    """It answers a byte now and then, which no timeout of a socket ends; then nobody asks it for a second."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        store = RedisStore(f"redis://127.0.0.1:{door.getsockname()[1]}/0", timeout_s=0.2)
        stop = threading.Event()

        def dribble() -> None:
            peer, _ = door.accept()
            with peer:
                peer.recv(100)
                while not stop.wait(0.02):
                    try:
                        peer.sendall(b"+")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble)
        thread.start()
        began = time.perf_counter()
        assert not store.get(layout, KEYS).reached
        first = time.perf_counter() - began
        began = time.perf_counter()
        assert not store.get(layout, KEYS).reached
        second = time.perf_counter() - began
        stop.set()
        thread.join()
        store.close()
    assert 0.15 < first < 2.0 and second < 0.15


def test_the_deadline_of_a_request_is_that_of_its_look_up(layout: Layout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        store = RedisStore(f"redis://127.0.0.1:{door.getsockname()[1]}/0", timeout_s=30.0)
        began = time.perf_counter()
        assert not store.get(layout, KEYS, until_s=began + 0.1).reached
        assert time.perf_counter() - began < 5.0
        store._not_before_s = 0.0
        assert not store.get(layout, KEYS, until_s=began).reached, "it is over already"
        assert store.get(layout, pa.array([None, ""], pa.string())).reached, "nothing to ask for"
        store.close()
