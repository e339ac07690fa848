from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from clickwise import atomic
from clickwise.atomic import whole_file, whole_folder
from clickwise.errors import DataError


def test_a_file_appears_only_when_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    with whole_file(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_replaces_the_old_one_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_renameat2", lambda: None)
    target = tmp_path / "bundle"
    for content in ("one", "two"):
        with whole_folder(target) as temporary:
            (temporary / content).write_text(content)
    assert [p.name for p in target.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with whole_folder(target) as temporary:
        (temporary / "one").write_text("1")
    with pytest.raises(KeyboardInterrupt), whole_folder(target) as temporary:
        (temporary / "two").write_text("2")
        raise KeyboardInterrupt
    assert [p.name for p in target.iterdir()] == ["one"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges two names in one step")
def test_there_is_always_a_folder_to_be_found(tmp_path: Path) -> None:
    target, seen, done = tmp_path / "bundle", [], threading.Event()
    with whole_folder(target) as temporary:
        (temporary / "file").write_text("0")

    def look() -> None:
        while not done.is_set():
            seen.append(os.path.isdir(target))

    watcher = threading.Thread(target=look)
    watcher.start()
    for i in range(50):
        with whole_folder(target) as temporary:
            (temporary / "file").write_text(str(i))
    done.set()
    watcher.join()
    assert len(seen) > 100
    assert all(seen)
    assert (target / "file").read_text() == "49"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_gives_way_and_what_it_names_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with whole_folder(tmp_path / "link") as temporary:
        (temporary / "file").write_text("new")
    assert (tmp_path / "link" / "file").read_text() == "new"
    assert not list((tmp_path / "elsewhere").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["elsewhere", "link"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the disk is full"), whole_file(tmp_path / "a"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    assert list(tmp_path.iterdir()) == []
