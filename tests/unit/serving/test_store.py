"""A store: numbers, copies, the file that says who answers, and what is refused."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from clickwise.errors import BundleError, ConfigError
from clickwise.sealed import LIVE
from clickwise.serving.store import Store
from clickwise.serving.traffic import Traffic
from serving_stand_ins import version_folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    for number in (1, 2, 3):
        assert made.add(version_folder(tmp_path / f"v{number}", float(number))) == number
    return made


def test_versions_are_whole_copies(store: Store, tmp_path: Path) -> None:
    assert store.versions() == (1, 2, 3)
    assert store.traffic() is None and not Store.is_at(store.folder), "adding makes nothing live"
    (tmp_path / "v1" / "graph.onnx").write_text("changed later")
    assert json.loads((store.folder_of(1) / "graph.onnx").read_text()) == {"logit": 1.0}
    assert (store.folder_of(1) / "tables" / "table.npy").read_bytes() == b"rows"


def test_leading_and_rolling_back(store: Store) -> None:
    before = store.stamp()
    assert store.lead(1) == Traffic(live=1)
    assert Store.is_at(store.folder) and store.stamp() != before
    store.lead(3)
    store.try_out(2, 0.5)
    assert store.shadow(1) == store.traffic() == Traffic(live=3, second=2, share=0.5, shadow=1, before=(1,))
    assert store.roll_back() == store.traffic() == Traffic(live=3, before=(1,)), "first, what is tried ends"
    assert store.roll_back() == Traffic(live=1)
    with pytest.raises(ConfigError, match="is the first that was live"):
        store.roll_back()
    assert store.traffic() == Traffic(live=1), "a refused change changes nothing"


def test_only_what_is_there_can_answer(store: Store) -> None:
    with pytest.raises(BundleError, match="no version is live"):
        store.try_out(1, 0.5)
    with pytest.raises(BundleError, match="has no version 9; there are: 1, 2, 3"):
        store.lead(9)
    assert store.traffic() is None


def test_a_damaged_version_is_not_copied(store: Store, tmp_path: Path) -> None:
    bad = version_folder(tmp_path / "bad")
    (bad / "tables" / "table.npy").write_bytes(b"rowz")
    with pytest.raises(BundleError, match="checksum differs"):
        store.add(bad)
    assert store.versions() == (1, 2, 3)
    assert sorted(p.name for p in store.folder.iterdir()) == [".lock", "1", "2", "3"], "nothing half-written is left"


def test_links_and_climbing_names_are_no_versions(store: Store, tmp_path: Path) -> None:
    (store.folder / "4").symlink_to(tmp_path / "v1")
    (store.folder / "05").mkdir()
    assert store.versions() == (1, 2, 3)
    for number in (4, 5, 0, -1, "../v1", "1/../2", "1\n", "٣"):
        with pytest.raises(BundleError, match="has no version"):
            store.folder_of(number)  # type: ignore[arg-type]
    assert store.add(tmp_path / "v1") == 5, "a number that is taken by whatever is not given again"


def test_only_what_the_manifest_lists_is_copied(store: Store, tmp_path: Path) -> None:
    (tmp_path / "v1" / "more").symlink_to("/etc")
    assert not (store.folder_of(store.add(tmp_path / "v1")) / "more").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"live": "1"}', '{"live": 1, "more": 2}', "[" * 10**5, '{"live": 0}'])
def test_a_damaged_live_file_says_so(store: Store, text: str) -> None:
    (store.folder / LIVE).write_text(text)
    with pytest.raises(BundleError, match=r"live\.json: cannot be read.*publish again"):
        store.traffic()


def test_a_huge_live_file_is_not_read(store: Store) -> None:
    with (store.folder / LIVE).open("wb") as file:
        file.truncate(2 << 20)
    with pytest.raises(BundleError, match="is larger than 1 MiB"):
        store.traffic()


def test_those_who_publish_at_once_get_numbers_of_their_own(store: Store, tmp_path: Path) -> None:
    given: list[int] = []
    threads = [threading.Thread(target=lambda: given.append(store.add(tmp_path / "v1"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == [4, 5, 6, 7, 8, 9]
    assert store.versions() == tuple(range(1, 10))
