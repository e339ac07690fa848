from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from clickwise.data.cache import Cache, Scratch, cache_folder, checkpoint_folder, entry_key
from clickwise.data.config import DataConfig
from clickwise.errors import ConfigError, DataError
from clickwise.features import Vocabulary
from clickwise.schema import Feature, Schema, replace

KEYS = [c * 64 for c in "abcd"]
SCHEMA = Schema(label="y", features=(Feature(name="a", column="a", config=Vocabulary.Config()),))


def build(cache, key, size=1000, used=None):
    with cache.building(key) as folder:
        (folder / "features").mkdir()
        (folder / "features" / "f.json").write_text("{}")
        (folder / "train.rows").write_bytes(b"x" * size)
    if used is not None:
        os.utime(cache.folder / key / "entry.json", (used, used))


def test_an_entry_is_found_once_it_is_whole(tmp_path):
    cache = Cache(tmp_path)
    assert cache.find(KEYS[0]) is None
    build(cache, KEYS[0])
    assert cache.find(KEYS[0]) == tmp_path / KEYS[0]
    assert json.loads((tmp_path / KEYS[0] / "entry.json").read_text())["files"] == {
        "features/f.json": 2,
        "train.rows": 1000,
    }


def test_a_failed_build_leaves_nothing(tmp_path):
    cache = Cache(tmp_path / "c")
    building = cache.building(KEYS[0])
    (building.__enter__() / "train.rows").write_bytes(b"half")
    assert building.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None) in (None, False)
    assert list((tmp_path / "c").iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    cache = Cache(tmp_path / "c")
    with pytest.raises(DataError, match="disk is full"), cache.building(KEYS[0]):
        raise OSError(28, "No space left on device")
    assert list((tmp_path / "c").iterdir()) == []


@pytest.mark.parametrize("harm", ["cut", "grown", "delete", "no manifest", "not json"])
def test_a_damaged_entry_is_forgotten(tmp_path, harm):
    cache = Cache(tmp_path)
    build(cache, KEYS[0])
    entry = tmp_path / KEYS[0]
    if harm == "cut":
        (entry / "train.rows").write_bytes(b"x" * 999)
    elif harm == "grown":
        (entry / "train.rows").write_bytes(b"x" * 1001)
    elif harm == "delete":
        (entry / "features" / "f.json").unlink()
    elif harm == "no manifest":
        (entry / "entry.json").unlink()
    else:
        (entry / "entry.json").write_text("[1")
    assert cache.find(KEYS[0]) is None
    assert not entry.exists()
    build(cache, KEYS[0])
    assert cache.find(KEYS[0]) == entry


def test_building_an_entry_that_somebody_else_just_built(tmp_path):
    cache = Cache(tmp_path)
    with cache.building(KEYS[0]) as folder:
        build(cache, KEYS[0])
        (folder / "train.rows").write_bytes(b"y")
    assert cache.find(KEYS[0]) == tmp_path / KEYS[0]
    assert [p.name for p in tmp_path.iterdir()] == [KEYS[0]]


def test_the_entries_used_longest_ago_go_first_but_never_the_one_in_use(tmp_path):
    cache = Cache(tmp_path, limit_bytes=10**9)
    for age, key in enumerate(KEYS[:3]):
        build(cache, key, used=1000 + age)
    cache.find(KEYS[0])  # used now: no longer the oldest
    tight = Cache(tmp_path, limit_bytes=2500)
    tight.make_room(KEYS[2])
    assert sorted(p.name for p in tmp_path.iterdir()) == [KEYS[0], KEYS[2]]
    Cache(tmp_path, limit_bytes=0).make_room(KEYS[2])
    assert [p.name for p in tmp_path.iterdir()] == [KEYS[2]]


def test_building_makes_room(tmp_path):
    cache = Cache(tmp_path, limit_bytes=2500)
    for age, key in enumerate(KEYS):
        build(cache, key, used=1000 + age)
    assert sorted(p.name for p in tmp_path.iterdir()) == KEYS[2:]


def test_what_killed_runs_left_goes_when_it_is_old_and_nothing_else(tmp_path):
    cache = Cache(tmp_path)
    old = time.time() - 2 * 86_400
    for name in (f".{KEYS[1]}.x1y2.tmp", f".scratch-{'0' * 32}", f".scratch-{'1' * 32}", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("x")
    for name in (f".{KEYS[1]}.x1y2.tmp", f".scratch-{'0' * 32}", "mine"):
        for path in (tmp_path / name / "f", tmp_path / name):
            os.utime(path, (old, old))
    build(cache, KEYS[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([KEYS[0], f".scratch-{'1' * 32}", "mine"])


def test_scratch_goes_with_its_object(tmp_path):
    scratch = Scratch(tmp_path)
    scratch.path.mkdir()
    (scratch.path / "f").write_text("x")
    del scratch
    assert list(tmp_path.iterdir()) == []


def test_key_depends_on_what_changes_the_encoding_and_on_nothing_else():
    config = DataConfig()
    base = entry_key(["p"], SCHEMA, config)
    assert len(base) == 64
    same = DataConfig(quarantine="q", cache_dir="c", batch_rows=7, sample_rows=9)
    assert entry_key(["p"], SCHEMA, same) == base
    others = [
        entry_key(["q"], SCHEMA, config),
        entry_key(["p", "p"], SCHEMA, config),
        entry_key(["p"], replace(SCHEMA, threshold=2.0), config),
        entry_key(["p"], SCHEMA, DataConfig(valid_fraction=0.2)),
        entry_key(["p"], SCHEMA, DataConfig(split_seed=1)),
        entry_key(["p"], SCHEMA, DataConfig(delimiter=";")),
    ]
    assert len({base, *others}) == 7


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("CLICKWISE_CACHE", str(tmp_path / "env"))
    assert cache_folder("given").name == "given"
    assert cache_folder(None) == tmp_path / "env"
    monkeypatch.delenv("CLICKWISE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / ".cache" / "clickwise"


def test_the_size_limit_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CLICKWISE_CACHE_GB", "0.5")
    assert Cache(tmp_path).limit_bytes == 500_000_000
    monkeypatch.setenv("CLICKWISE_CACHE_GB", "lots")
    with pytest.raises(ConfigError, match="CLICKWISE_CACHE_GB: got 'lots', allowed is a number of gigabytes"):
        Cache(tmp_path)
    monkeypatch.delenv("CLICKWISE_CACHE_GB")
    assert Cache(tmp_path).limit_bytes == 20_000_000_000


def test_checkpoints_of_runs_that_never_went_on_are_forgotten(tmp_path):
    old, young = (checkpoint_folder(tmp_path) / name / "step-1" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
    month_ago = time.time() - 31 * 86_400
    for path in (old / "run.json", old, old.parent):
        os.utime(path, (month_ago, month_ago))
    Cache(tmp_path).make_room("")
    assert [p.name for p in checkpoint_folder(tmp_path).iterdir()] == ["young"]


def test_what_another_run_removes_while_room_is_made_does_no_harm(tmp_path, monkeypatch):
    step = checkpoint_folder(tmp_path) / "run" / ".step-1.tmp"
    step.mkdir(parents=True)
    (step / "weights").write_text("w")
    stat = os.stat

    def removed_first(path, **how):
        if str(path) == str(step):
            shutil.rmtree(step, ignore_errors=True)
        return stat(path, **how)

    monkeypatch.setattr(os, "stat", removed_first)
    Cache(tmp_path).make_room("")
    monkeypatch.undo()
    assert not step.exists()
