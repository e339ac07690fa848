"""What a seal says beside what the tests of bundles say of theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clickwise import sealed
from clickwise.bundle.files import BUNDLE
from clickwise.errors import BundleError
from clickwise.retrieval.stored import RECOMMENDER
from clickwise.sealed import MANIFEST, Seal, is_sealed
from clickwise.serving.store import Store
from clickwise.serving.version import GRAPH, VERSION

THING = Seal(
    format="clickwise thing",
    version=3,
    noun="thing",
    command="make thing",
    again="make it again",
    mapped=("big/", "one"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    thing = tmp_path / "thing"
    for name in ("big/a", "big/deep/b", "bigger", "one", "one.more", "inner/manifest.json"):
        (thing / name).parent.mkdir(parents=True, exist_ok=True)
        (thing / name).write_text(name)
    THING.write(thing, {"colour": "red"})
    return thing


def test_what_is_mapped_is_read_only_when_all_is(folder: Path) -> None:
    assert THING.verify(folder)["colour"] == "red"
    for name in ("big/a", "big/deep/b", "one"):
        (folder / name).write_text(name[::-1])
        assert THING.verify(folder, read_all=False)["format_version"] == 3
        with pytest.raises(BundleError, match=f"{name}: its checksum differs .* the thing is damaged"):
            THING.verify(folder)
        (folder / name).write_text(name)
    for name in ("bigger", "one.more"):
        (folder / name).write_text(name[::-1])
        with pytest.raises(BundleError, match="checksum"):
            THING.verify(folder, read_all=False)
        (folder / name).write_text(name)


def test_a_file_is_read_once_until_it_is_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = sealed.sha256_of
    monkeypatch.setattr(sealed, "sha256_of", lambda path: read.append(path.name) or real(path))
    for _ in range(2):
        THING.verify(folder)
    assert read.count("bigger") == 2, "so young, it may change without another time"
    monkeypatch.setattr(sealed, "_SETTLED_NS", -(10**15))
    read.clear()
    for _ in range(2):
        THING.verify(folder)
    assert sorted(read) == sorted(["a", "b", "bigger", "one", "one.more", "manifest.json"])
    (folder / "bigger").write_text("reggib")
    os.utime(folder / "bigger", (1, 1))
    for _ in range(2):
        with pytest.raises(BundleError, match="bigger: its checksum differs"):
            THING.verify(folder)
    (folder / "new").write_text("bigger")
    (folder / "new").replace(folder / "bigger")
    THING.verify(folder)
    assert read.count("bigger") == 3, "once as it was, once as it is damaged, once as it is replaced"


def test_a_manifest_of_a_folder_inside_is_a_file_like_any_other(folder: Path) -> None:
    assert "inner/manifest.json" in THING.verify(folder)["files"] and MANIFEST not in THING.verify(folder)["files"]
    (folder / "inner" / "manifest.json").write_text("{}")
    with pytest.raises(BundleError, match=r"inner/manifest\.json: has 2 bytes"):
        THING.verify(folder)


def test_messages_name_the_kind(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no such thing; `make thing .*nothing` makes one"):
        THING.verify(tmp_path / "nothing")
    other = Seal(format="clickwise other", version=3, noun="other", command="make", again="make it again")
    with pytest.raises(BundleError, match="is not the manifest of a clickwise other"):
        other.verify(folder)
    older = Seal(format="clickwise thing", version=4, noun="thing", command="make", again="make it again")
    with pytest.raises(BundleError, match="has format version 3, this clickwise reads 4; make it again"):
        older.verify(folder)
    needy = Seal(
        format="clickwise thing", version=3, noun="thing", command="make", again="make it again", needed="x.bin"
    )
    with pytest.raises(BundleError, match=r"lists no x\.bin; the thing is damaged"):
        needy.verify(folder)


@pytest.mark.parametrize("seal", [BUNDLE, VERSION, RECOMMENDER], ids=lambda seal: seal.noun)
def test_messages_say_what_else_it_is_and_what_takes_it(seal: Seal, folder: Path, tmp_path: Path) -> None:
    seal.write(folder, {})
    with pytest.raises(BundleError, match=f"thing: is a {seal.format} and no thing; `clickwise .* take it"):
        THING.verify(folder)
    Store(tmp_path / "store").add(_version(tmp_path))
    Store(tmp_path / "store").lead(1)
    with pytest.raises(BundleError, match=f"store: is a store of versions and no {seal.noun}; `clickwise serve`"):
        seal.verify(tmp_path / "store")


def _version(folder: Path) -> Path:
    made = folder / "version"
    made.mkdir()
    (made / GRAPH).write_text("graph")
    VERSION.write(made, {})
    return made


def test_only_such_a_folder_is_written_over(folder: Path, tmp_path: Path) -> None:
    assert is_sealed(folder) and not is_sealed(tmp_path)
    THING.check_out(folder)
    THING.check_out(tmp_path / "new")
    for there in (tmp_path, folder / "bigger"):
        with pytest.raises(BundleError, match="exists and is not a clickwise thing; choose another --out"):
            THING.check_out(there)
