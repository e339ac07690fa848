"""Requests that name what is stored score as requests that send it; what is sent wins."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clickwise.data.config import DataConfig
from clickwise.errors import BundleError, DataError, RequestError
from clickwise.progress import Progress
from clickwise.serving.engine import Engine, Scores
from clickwise.serving.features.entity import Entity
from clickwise.serving.features.load import load_features
from clickwise.serving.features.opening import open_stores
from clickwise.serving.features.store import Stores

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("served", ["wide_deep"], indirect=True)]

USER = Entity(name="user", key="user_id", columns=("user_age", "user_segment", "interests", "history"))
AD = Entity(name="ad", key="ad_id", columns=("ad_category", "bid_floor"))
OTHERS = ("site_id", "timestamp", "position")
EACH = 30


class Stored(NamedTuple):
    """An engine with stores, one without, and the rows of users and ads that were loaded."""

    engine: Engine
    plain: Engine
    users: dict[str, dict[str, Any]]
    ads: dict[str, dict[str, Any]]
    rows: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["lmdb", "snapshot"])
def stored(request: pytest.FixtureRequest, served: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("stores")
    rows = served.rows.to_pylist()
    known: dict[str, dict[str, dict[str, Any]]] = {}
    entities = []
    for entity in (USER, AD):
        last = {row[entity.key]: {name: row[name] for name in (entity.key, *entity.columns)} for row in rows}
        known[entity.name] = last
        file = folder / f"{entity.name}.parquet"
        names = [entity.key, *entity.columns]
        pq.write_table(pa.Table.from_pylist(list(last.values()), served.rows.select(names).schema), file)
        entity = replace(entity, store=f"{request.param}:{folder / entity.name}")
        done = load_features(str(file), entity, served.version, entity.store, DataConfig(), Progress())
        assert (done.rows, done.quarantined) == (len(last), 0)
        entities.append(entity)
    with open_stores(entities) as stores:
        engine = Engine.open(served.version, stores=stores)
        yield Stored(engine, Engine.open(served.version), known["user"], known["ad"], rows)


def score(engine: Engine, user: dict[str, Any], candidates: list[dict[str, Any]]) -> Scores:
    body = json.dumps({"user": user, "candidates": candidates}, default=datetime.isoformat).encode()
    return engine.score_json(body, max_candidates=1000)


def same_rows(one: Scores, other: Scores) -> None:
    assert one.served is not None and other.served is not None
    for mine, theirs in zip(one.served.encoded, other.served.encoded, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(one.logits, other.logits)


def test_ids_score_as_what_is_known_of_them(stored: Stored) -> None:
    """Bit for bit, crosses of both sides included; also with some of it sent, which changes nothing here."""
    for start in range(0, 600, EACH):
        rows = stored.rows[start : start + EACH]
        user = stored.users[rows[0]["user_id"]]
        context = {name: rows[0][name] for name in ("site_id", "timestamp")}
        ads = [{**stored.ads[row["ad_id"]], "position": row["position"]} for row in rows]
        expected = score(stored.plain, {**user, **context}, ads)
        by_id = [{"ad_id": ad["ad_id"], "position": ad["position"]} for ad in ads]
        found = score(stored.engine, {"user_id": user["user_id"], **context}, by_id)
        same_rows(found, expected)
        assert [(each.entity, each.known, each.unknown, each.reached) for each in found.looked_up] == [
            ("user", 1, 0, True),
            ("ad", EACH, 0, True),
        ]
        for at in range(0, EACH, 3):
            by_id[at]["ad_category"] = ads[at]["ad_category"]
        half = {**context, "user_id": user["user_id"], "interests": user["interests"]}
        same_rows(score(stored.engine, half, by_id), expected)


def test_what_is_sent_wins(stored: Stored) -> None:
    ids = list(stored.ads)[:6]
    user = next(iter(stored.users.values()))
    whole = [dict(stored.ads[ad]) for ad in ids]
    sent = [{"ad_id": ad} for ad in ids]
    for at, changed in ((0, {"ad_category": "new"}), (2, {"bid_floor": 9.5}), (3, {"ad_category": None})):
        sent[at] |= changed
        whole[at] |= {name: value for name, value in changed.items() if value is not None}
    found = score(stored.engine, {"user_id": user["user_id"], "user_age": 99}, sent)
    same_rows(found, score(stored.plain, {**user, "user_age": 99}, whole))
    found = score(stored.engine, {**user}, sent)
    assert [each.entity for each in found.looked_up] == ["ad"], "all of the user was sent: nothing to look up"


def test_who_is_not_known_is_as_missing_as_a_null(stored: Stored) -> None:
    some = next(iter(stored.ads))
    ids: list[Any] = [some, "nobody", None, 17]
    found = score(stored.engine, {"user_id": "nobody"}, [{"ad_id": ad} for ad in ids])
    expected = [stored.ads[some], {"ad_id": "nobody"}, {"ad_id": None}, {"ad_id": "17"}]
    same_rows(found, score(stored.plain, {"user_id": "nobody"}, expected))
    assert [(each.known, each.unknown, each.age_s is None) for each in found.looked_up] == [(0, 1, True), (1, 2, False)]


def test_keys_of_candidates_may_be_of_users_and_the_other_way(stored: Stored) -> None:
    users, ads = list(stored.users)[:4], list(stored.ads)[:4]
    found = score(stored.engine, {"ad_id": ads[0]}, [{"user_id": each} for each in users])
    expected = score(stored.plain, stored.ads[ads[0]], [stored.users[each] for each in users])
    same_rows(found, expected)


def test_rows_in_columns_look_up_too(stored: Stored) -> None:
    users, ads = list(stored.users)[:5], list(stored.ads)[:5]
    found = stored.engine.score_rows(pa.RecordBatch.from_pydict({"user_id": users, "ad_id": ads}))
    whole = [{**stored.users[u], **stored.ads[a]} for u, a in zip(users, ads, strict=True)]
    same_rows(found, score(stored.plain, {}, whole))
    ages = {"user_age": [np.nan, 99.0, np.nan, 98.0, np.nan], "ad_category": ["", "new", "", "", ""]}
    found = stored.engine.score_rows(pa.RecordBatch.from_pydict({"user_id": users, "ad_id": ads, **ages}))
    whole[1] |= {"user_age": 99, "ad_category": "new"}
    whole[3] |= {"user_age": 98}
    same_rows(found, score(stored.plain, {}, whole))
    with pytest.raises(RequestError, match="user_id"):
        stored.engine.score_rows(pa.RecordBatch.from_pydict({"user_id": [["a"]], "ad_id": ["b"]}))


def test_a_version_without_values_is_refused(stored: Stored, served: Any, tmp_path: Path) -> None:
    stored.engine.check()  # golden requests have keys, and look nothing up
    stored.engine.warm_up()
    other = replace(AD, name="advert", store=f"snapshot:{tmp_path}")
    with open_stores([other]) as stores:
        Engine.open(served.version, stores=stores).check()  # nothing was ever loaded: it may come
    (tmp_path / "advert-0123456789abcdef").mkdir()
    (tmp_path / "advert-0123456789abcdef" / "manifest.json").write_text("{}")
    with open_stores([other]) as stores, pytest.raises(BundleError, match="encoded by other features"):
        Engine.open(served.version, stores=stores).check()


def test_a_key_may_be_no_column_of_the_model(served: Any, tmp_path: Path) -> None:
    entity = Entity(name="slot", key="slot_id", columns=("position", "site_id"), store=f"snapshot:{tmp_path / 's'}")
    rows = {"slot_id": [1, 2], "position": [1, 3], "site_id": ["x", "y"]}
    load_features(rows, entity, served.version, entity.store, DataConfig(), Progress())
    with open_stores([entity]) as stores:
        engine = Engine.open(served.version, stores=stores)
    assert engine.columns[-1] == "slot_id" and engine.kinds["slot_id"] == "text"
    found = score(engine, {"slot_id": 2}, [{"ad_id": "a"}, {"ad_id": "b"}])
    expected = score(Engine.open(served.version), {"position": 3, "site_id": "y"}, [{"ad_id": "a"}, {"ad_id": "b"}])
    same_rows(found, expected)
    assert found.ignored == ()


def test_bad_rows_go_to_quarantine(served: Any, tmp_path: Path) -> None:
    place = f"snapshot:{tmp_path / 's'}"
    quarantine = tmp_path / "bad.jsonl"
    rows = {
        "ad_id": ["a", None, "b", "c" * 300, "d"],
        "ad_category": ["x"] * 5,
        "bid_floor": ["1", "2", "much", "3", "4"],
    }
    config = DataConfig(max_bad_fraction=0.7, quarantine=str(quarantine))
    done = load_features(rows, AD, served.version, place, config, Progress())
    assert (done.rows, done.quarantined) == (2, 3) and "2 rows of the entity 'ad'" in str(done)
    reasons = [json.loads(line)["reason"] for line in quarantine.read_text().splitlines()]
    assert sorted(reasons) == ["is empty, and is the key", "is longer than 256 bytes", "is not a number"]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="first of 3 unreadable rows in 5"):
        load_features(rows, AD, served.version, place, DataConfig(quarantine=str(quarantine)), Progress())
    assert sorted(tmp_path.rglob("*")) == before, "the old snapshot stays"
    with pytest.raises(DataError, match="no such column"):
        load_features({"ad_id": ["a"]}, AD, served.version, place, DataConfig(), Progress())


def test_nothing_to_look_up_for(served: Any) -> None:
    with open_stores([]) as stores:
        assert stores == Stores((), {})
        engine = Engine.open(served.version, stores=stores)
    assert score(engine, {"user_id": "u"}, [{"ad_id": "a"}]).looked_up == ()


def test_what_is_known_of_the_user_is_the_same_in_all_rows(stored: Stored) -> None:
    engine, inputs = stored.engine, stored.engine._encoder._pipeline.inputs
    ids = {"user": {"user_id": next(iter(stored.users))}, "candidates": [{"ad_id": ad} for ad in list(stored.ads)[:9]]}
    request = engine._reader.read(json.dumps(ids).encode(), 9)
    found = engine._encoder.request(request, engine._lookups.find(request.user, request.candidates, math.inf))
    assert (found.encoded.sparse == found.encoded.sparse[:1])[:, found.shared].all()
    shared = {field.name for field, at in inputs.slots() if found.shared[at].all()}
    assert shared >= {"user_id", "user_segment", "interests", "site_id"}
    assert shared.isdisjoint({"ad_id", "ad_category"})
