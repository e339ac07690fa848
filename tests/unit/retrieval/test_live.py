"""Threads search while the index changes under them: each answer is that of one version."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from clickwise.retrieval.catalogue import Rule
from clickwise.retrieval.index_config import IndexConfig
from clickwise.retrieval.item_index import ItemIndex
from clickwise.retrieval.live import LiveIndex

C, K = 300, 4
VECTORS = np.random.default_rng(0).normal(size=(C, K)).astype(np.float32)
CONFIGS = {
    "exact": IndexConfig(kind="exact"),
    "lists": IndexConfig(kind="faiss", options={"exact_up_to": 0, "lists": 6}, effort=6),
}


def items(ids: list[str], version: int) -> pa.Table:
    return pa.table({"item": ids, "version": [version] * len(ids)})


def made(config: IndexConfig, version: int = 0) -> ItemIndex:
    return ItemIndex.build(items([f"i{row}" for row in range(C)], version), "item", VECTORS, config, threads=1)


@pytest.mark.parametrize("kind", CONFIGS)
def test_each_answer_is_that_of_one_version(kind: str) -> None:
    """Version v has v in every item that was written since 0, and the item `only v`; no answer mixes two versions."""
    config, query = CONFIGS[kind], np.eye(K, dtype=np.float32)[:1] * 100
    live = LiveIndex(made(config))
    stop, failures, answers = threading.Event(), list[BaseException](), [0] * 3
    interval = sys.getswitchinterval()

    def read(which: int) -> None:
        try:
            while not stop.is_set():
                index = live.current
                found = index.search(query, 3, where=[Rule.parse("version>=0")] if which else [], exclude=[["i0"]])
                rows = found.rows[0]
                ids = index.ids_of(rows[rows >= 0])
                versions = index.take(rows[rows >= 0], ["version"]).column(0).to_pylist()
                marks = [(one, version) for one, version in zip(ids, versions, strict=True) if one.startswith("only")]
                assert len(ids) == 3 and "i0" not in ids and len(marks) <= 1
                for one, version in marks:
                    assert one == f"only {version}", "its id and its attribute are of the same version"
                    assert index.rows_of([one])[0] in rows
                answers[which] += 1
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    def write() -> None:
        try:
            far = np.full((1, K), 50, np.float32)
            for version in range(1, 21):
                name = f"only {version}"

                def change(index: ItemIndex, version: int = version, name: str = name) -> ItemIndex:
                    return index.removed([f"only {version - 1}"]).upserted(items([name], version), far)

                live.update(change)
                if version % 7 == 0:
                    live.compact(threads=1)
                if version % 9 == 0:
                    live.swap(made(config).upserted(items([name], version), far))
                time.sleep(0.005)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            stop.set()

    threads = [threading.Thread(target=read, args=(which,)) for which in range(3)] + [threading.Thread(target=write)]
    sys.setswitchinterval(1e-4)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if failures:
        raise failures[0]
    assert min(answers) > 3
    assert live.current.rows_of(["only 20"])[0] >= 0 and live.current.rows_of(["only 19"])[0] == -1


def test_no_update_of_several_writers_is_lost() -> None:
    live = LiveIndex(made(CONFIGS["exact"]))
    one = np.ones((1, K), np.float32)

    def write(which: int) -> None:
        for n in range(20):
            live.upsert(items([f"w{which} {n}"], n), one)
            live.remove([f"i{20 * which + n}"])

    threads = [threading.Thread(target=write, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index = live.current
    assert len(index) == C
    assert (index.rows_of([f"w{which} {n}" for which in range(4) for n in range(20)]) >= 0).all()
    assert (index.rows_of([f"i{n}" for n in range(80)]) == -1).all()


def test_readers_do_not_wait_for_a_writer() -> None:
    live = LiveIndex(made(CONFIGS["exact"]))
    before, inside, go_on = live.current, threading.Event(), threading.Event()

    def slow(index: ItemIndex) -> ItemIndex:
        inside.set()
        assert go_on.wait(30)
        return index.removed(["i1"])

    writer = threading.Thread(target=lambda: live.update(slow))
    writer.start()
    assert inside.wait(30)
    assert live.current is before and live.current.search(VECTORS[:1], 1).rows[0, 0] >= 0
    go_on.set()
    writer.join()
    assert live.current is not before and len(live.current) == C - 1


def test_a_failed_update_changes_nothing() -> None:
    live = LiveIndex(made(CONFIGS["exact"]))
    before = live.current
    with pytest.raises(Exception, match="vectors"):
        live.upsert(items(["x"], 1), np.ones((2, K), np.float32))
    assert live.current is before
    assert live.swap(made(CONFIGS["exact"], 7)) is before
    assert live.current.take(np.array([0]), ["version"]).column(0).to_pylist() == [7]
    live.remove(["i3"])
    assert len(live.compact(threads=1)) == C - 1 and live.current.main.gone is None
