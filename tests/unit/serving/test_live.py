"""Versions that take over, that are refused, and that go."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from clickwise.errors import BundleError, ConfigError
from clickwise.sealed import LIVE
from clickwise.serving.live import Live
from clickwise.serving.one_version import OneVersion
from clickwise.serving.store import Store
from clickwise.serving.traffic import Traffic
from serving_stand_ins import StandIn, version_folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    for number in (1, 2):
        made.add(version_folder(tmp_path / f"v{number}", float(number)))
    made.lead(1)
    return made


@pytest.fixture
def live(store: Store) -> Live:
    made = Live(store, StandIn.open)
    made.refresh()
    return made


def test_it_follows_the_store(live: Live, store: Store) -> None:
    first = live.current
    assert first is not None and first.traffic == Traffic(live=1) and first.for_request(b"x")[0] == 1
    assert first.engines[1].warm, "checked and warm before it answers"  # type: ignore[attr-defined]
    live.refresh()
    assert live.current is first and live.swaps == 1, "nothing new, nothing done"
    store.lead(2)
    store.shadow(1)
    live.refresh()
    assert live.current is not None and live.current.traffic == Traffic(live=2, shadow=1, before=(1,))
    assert live.current.engines[1] is first.engines[1], "what is open stays open"


def test_the_old_engine_goes_with_its_last_request(live: Live, store: Store) -> None:
    assert live.current is not None
    held = live.current.for_request(b"in flight")
    gone = weakref.ref(held[1])
    store.lead(2)
    live.refresh()
    assert gone() is held[1]
    del held
    gc.collect()
    assert gone() is None


def test_a_refused_version_leaves_the_old_one(live: Live, store: Store, tmp_path: Path) -> None:
    before = live.current
    number = store.add(version_folder(tmp_path / "bad", refuses="logit 3 is NaN"))
    store.lead(number)
    live.refresh()
    assert live.current is before
    assert live.refused == {3: "logit 3 is NaN"}
    store.lead(2)
    live.refresh()
    assert live.current is not None and live.current.traffic.live == 2


def test_a_version_of_another_schema_is_refused(live: Live, store: Store, tmp_path: Path) -> None:
    store.lead(store.add(version_folder(tmp_path / "wide", columns=["itm"])))
    live.refresh()
    assert live.current is not None and live.current.traffic.live == 1
    assert "needs the column 'itm' (did you mean 'item'?)" in live.refused[3]
    fresh = Live(store, StandIn.open)
    fresh.refresh()
    assert fresh.current is not None and fresh.current.traffic.live == 3, "a new process takes it"


def test_any_failure_at_opening_is_a_refusal(store: Store) -> None:
    def fails(folder: Path) -> StandIn:
        if folder.name == "2":
            raise MemoryError
        return StandIn(folder)

    live = Live(store, fails)  # type: ignore[arg-type]
    live.refresh()
    store.lead(2)
    live.refresh()
    assert live.refused == {2: "MemoryError"}
    assert live.current is not None and live.current.traffic.live == 1


def test_a_refused_second_or_shadow_is_left_out(live: Live, store: Store, tmp_path: Path) -> None:
    number = store.add(version_folder(tmp_path / "bad", refuses="no"))
    store.try_out(number, 0.5)
    store.shadow(2)
    live.refresh()
    assert live.current is not None and live.current.traffic == Traffic(live=1, shadow=2)
    assert set(live.refused) == {number}


def test_a_start_with_a_refused_version_takes_the_one_before(store: Store, tmp_path: Path) -> None:
    store.lead(2)
    for reason in ("no", "nor this"):
        store.lead(store.add(version_folder(tmp_path / reason, refuses=reason)))
    live = Live(store, StandIn.open)
    live.refresh()
    assert live.current is not None and live.current.traffic.live == 2
    assert live.refused == {3: "no", 4: "nor this"}


def test_a_damaged_store_leaves_what_answers(live: Live, store: Store) -> None:
    (store.folder / LIVE).write_text("{")
    live.refresh()
    assert live.current is not None and "cannot be read" in live.trouble
    (store.folder / LIVE).unlink()
    live.refresh()
    assert live.current is not None and live.trouble == ""


def test_an_empty_store_serves_nothing_until_something_is_published(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    live = Live(store, StandIn.open)
    live.refresh()
    assert live.current is None
    store.lead(store.add(version_folder(tmp_path / "v")))
    live.refresh()
    assert live.current is not None


def test_leading_by_hand_opens_first(live: Live, store: Store, tmp_path: Path) -> None:
    store.add(version_folder(tmp_path / "bad", refuses="golden request 1 differs"))
    with pytest.raises(BundleError, match="version 3 was refused: golden request 1 differs"):
        live.lead(3)
    assert store.traffic() == Traffic(live=1), "the store does not learn of it"
    with pytest.raises(BundleError, match="has no version 7"):
        live.lead(7)
    assert set(live.refused) == {3}
    assert live.lead(2) == store.traffic() == Traffic(live=2, before=(1,))
    assert live.current is not None and live.current.traffic.live == 2 and live.swaps == 2
    live.refresh()
    assert live.swaps == 2, "its own change is no news"
    assert live.roll_back() == Traffic(live=1)
    with pytest.raises(ConfigError):
        live.roll_back()


def test_one_version_is_number_one(tmp_path: Path) -> None:
    live = Live(OneVersion(version_folder(tmp_path / "v", 5.0)), StandIn.open)
    live.refresh()
    assert live.current is not None and live.current.for_request(b"x")[0] == 1
    assert live.lead(1) == Traffic(live=1)
    with pytest.raises(BundleError, match="there is no number 2"):
        live.lead(2)
    with pytest.raises(ConfigError, match="is one version"):
        live.roll_back()
