from __future__ import annotations

import hashlib
import os

import pytest

from clickwise.data import fingerprint
from clickwise.data.fingerprint import fingerprint_files
from clickwise.errors import DataError


def old_file(path, content, seconds_ago=60):
    path.write_bytes(content)
    then = path.stat().st_mtime - seconds_ago
    os.utime(path, (then, then))
    return str(path)


def test_it_is_the_content_in_order_and_not_the_name(tmp_path):
    a, b = old_file(tmp_path / "a", b"one"), old_file(tmp_path / "b", b"two")
    c = old_file(tmp_path / "c", b"one")
    assert fingerprint_files([a, b]) == fingerprint_files([c, b])
    assert fingerprint_files([a, b]) != fingerprint_files([b, a])
    assert fingerprint_files([a]) != fingerprint_files([a], ["day=3"])
    joined = hashlib.sha256(hashlib.sha256(b"one").digest() + hashlib.sha256(b"two").digest()).hexdigest()
    assert fingerprint_files([a, b]) == joined


def test_an_unchanged_file_is_not_read_again(tmp_path, monkeypatch):
    a, cache = old_file(tmp_path / "a", b"one"), tmp_path / "cache"
    first = fingerprint_files([a], cache_dir=cache)

    def refuse(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(fingerprint.hashlib, "file_digest", refuse)
    assert fingerprint_files([a], cache_dir=cache) == first
    with pytest.raises(AssertionError, match="read again"):
        fingerprint_files([a])


def test_a_changed_file_is_read_again(tmp_path):
    cache = tmp_path / "cache"
    a = old_file(tmp_path / "a", b"one")
    first = fingerprint_files([a], cache_dir=cache)
    old_file(tmp_path / "a", b"two", seconds_ago=50)
    second = fingerprint_files([a], cache_dir=cache)
    assert second == fingerprint_files([a]) != first
    assert (cache / "fingerprints.json").read_text().count(a) == 1, "the old entry is dropped"


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path):
    a, cache = old_file(tmp_path / "a", b"one", seconds_ago=0), tmp_path / "cache"
    fingerprint_files([a], cache_dir=cache)
    state = os.stat(a)
    with open(a, "r+b") as same_inode:
        same_inode.write(b"two")
    os.utime(a, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint_files([a], cache_dir=cache) == fingerprint_files([a])


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_index_is_made_again(tmp_path, damage):
    a, cache = old_file(tmp_path / "a", b"one"), tmp_path / "cache"
    cache.mkdir()
    (cache / "fingerprints.json").write_bytes(damage)
    assert fingerprint_files([a], cache_dir=cache) == fingerprint_files([a])


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(DataError, match="gone: no such file"):
        fingerprint_files([str(tmp_path / "gone")])
