"""The cascade against the same done by hand: every pair scored by the whole bundle, sorted, capped."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clickwise.errors import BundleError, ConfigError, DataError
from clickwise.retrieval.recommender import RecommenderConfig

LOG_ONLY = {"position": 1}


def by_hand(world, request: int, rows: np.ndarray) -> np.ndarray:
    """Probabilities of a request with items, by the whole rows.  [n]"""
    items = world.catalogue.take(pa.array(rows))
    one = world.requests.take(pa.array(np.full(len(rows), request)))
    columns = {name: one.column(name) for name in one.column_names} | {n: items.column(n) for n in items.column_names}
    return world.ranker.predict(pa.table(columns | {"position": pa.array(np.ones(len(rows), np.int8))}))


def scores_by_hand(world, recommender) -> np.ndarray:
    """[Q, C]"""
    query = recommender.towers.queries(world.requests.combine_chunks().to_batches()[0])
    return query @ recommender.towers.items(world.catalogue.combine_chunks().to_batches()[0]).T


def test_lists_are_the_candidates_in_order_of_the_bundles_own_probabilities(world) -> None:
    recommender = world.recommender(candidates=40, constants=LOG_ONLY)
    ids = world.catalogue.column("ad_id").to_pylist()
    scores = scores_by_hand(world, recommender)
    lists = recommender.recommend(world.requests, 7)
    assert len(lists) == world.requests.num_rows
    for q, found in enumerate(lists):
        candidates = np.argsort(-scores[q], kind="stable")[:40]
        prob = by_hand(world, q, candidates)
        best = np.argsort(-prob, kind="stable")[:7]
        assert [one.item for one in found] == [ids[row] for row in candidates[best]]
        np.testing.assert_allclose([one.probability for one in found], prob[best], rtol=1e-5)
        np.testing.assert_allclose([one.score for one in found], scores[q, candidates[best]], rtol=1e-4)
        assert [one.retrieved for one in found] == (best + 1).tolist()
        assert [one.place for one in found] == list(range(1, 8))


def test_without_a_ranker_the_order_is_that_of_retrieval(world) -> None:
    recommender = world.recommender(ranked=False, candidates=10)
    ids = np.array(world.catalogue.column("ad_id").to_pylist())
    scores = scores_by_hand(world, recommender)
    for q, found in enumerate(recommender.recommend(world.requests, 10)):
        assert [one.item for one in found] == ids[np.argsort(-scores[q], kind="stable")[:10]].tolist()
        assert all(one.probability is None for one in found)


def test_caps_hold_and_take_the_next_best(world) -> None:
    free = world.recommender(candidates=1000, constants=LOG_ONLY)
    capped = world.recommender(candidates=1000, constants=LOG_ONLY, caps={"advertiser_id": 2, "ad_category": 3})
    of = {row["ad_id"]: row for row in world.catalogue.to_pylist()}
    changed = 0
    lists = free.recommend(world.requests, 1000), capped.recommend(world.requests, 9)
    for everything, found in zip(*lists, strict=True):
        expected: list[str] = []
        for one in everything:
            mine = of[one.item]
            same_advertiser = sum(of[item]["advertiser_id"] == mine["advertiser_id"] for item in expected)
            same_category = sum(of[item]["ad_category"] == mine["ad_category"] for item in expected)
            if same_advertiser < 2 and same_category < 3 and len(expected) < 9:
                expected.append(one.item)
        assert [one.item for one in found] == expected
        changed += expected != [one.item for one in everything[:9]]
    assert changed  # the caps did something


def test_rules_allow_lists_and_seen_items_leave_out_what_they_should(world) -> None:
    recommender = world.recommender(candidates=1000, constants=LOG_ONLY, where=("ad_category!=travel",))
    of = {row["ad_id"]: row for row in world.catalogue.to_pylist()}
    wanted = pc.value_counts(world.catalogue.column("ad_format")).to_pylist()[0]["values"]
    request = world.requests.slice(0, 1)
    everything = [one.item for one in recommender.recommend(request, 1000)[0]]
    assert {of[item]["ad_category"] for item in everything} == {
        row["ad_category"] for row in of.values() if row["ad_category"] != "travel"
    }
    ruled = [one.item for one in recommender.recommend(request, 1000, where=[f"ad_format={wanted}"])[0]]
    assert ruled == [item for item in everything if of[item]["ad_format"] == wanted]
    allowed = [one.item for one in recommender.recommend(request, 1000, allow=everything[3:9])[0]]
    assert allowed == everything[3:9]
    unseen = [one.item for one in recommender.recommend(request, 1000, exclude=[everything[:5]])[0]]
    assert unseen == everything[5:]


def test_diversity_reorders_but_keeps_what_is_best_first(world) -> None:
    plain = world.recommender(candidates=100, constants=LOG_ONLY).recommend(world.requests, 10)
    varied = world.recommender(candidates=100, constants=LOG_ONLY, diversity=0.6).recommend(world.requests, 10)
    assert all(a[0].item == b[0].item for a, b in zip(plain, varied, strict=True))
    assert any({one.item for one in a} != {one.item for one in b} for a, b in zip(plain, varied, strict=True))


def test_items_come_change_and_go_without_touching_the_old_recommender(world) -> None:
    old = world.recommender(candidates=1000, constants=LOG_ONLY)
    request = world.requests.slice(2, 1)
    before = [one.item for one in old.recommend(request, 1000)[0]]
    top = world.catalogue.filter(pc.equal(world.catalogue.column("ad_id"), before[0]))
    twin = top.set_column(0, "ad_id", pa.array(["a_new"]))
    changed = old.with_items(twin).without_items([before[1], "never there"])
    after = changed.recommend(request, 1001)[0]
    assert {one.item for one in after} == {*before, "a_new"} - {before[1]}
    by_id = {one.item: one for one in after}
    assert by_id["a_new"].score == pytest.approx(scores_of_unknown(world, changed, twin, request), rel=1e-3)
    assert [one.item for one in old.recommend(request, 1000)[0]] == before
    again = changed.with_items(top.set_column(0, "ad_id", pa.array([before[1]])))  # back, as another ad
    assert before[1] in {one.item for one in again.recommend(request, 1001)[0]}


def scores_of_unknown(world, recommender, item: pa.Table, request: pa.Table) -> float:
    query = recommender.towers.queries(request.combine_chunks().to_batches()[0])
    return float((query @ recommender.towers.items(item.combine_chunks().to_batches()[0]).T)[0, 0])


def test_a_list_can_be_shorter_than_asked_for(world) -> None:
    recommender = world.recommender(candidates=5, constants=LOG_ONLY, caps={"ad_category": 1})
    lists = recommender.recommend(world.requests, 5)
    assert 1 <= min(map(len, lists)) < 5
    ranked = recommender.rank(recommender.batch(world.requests), 5)
    assert ((ranked.rows < 0) == np.isneginf(ranked.value)).all()
    assert not recommender.recommend(world.requests.slice(0, 1), 5, allow=[])[0]


def test_what_does_not_fit_is_said(world) -> None:
    with pytest.raises(DataError, match="position"):
        world.recommender().recommend(world.requests.drop_columns("position"))
    with pytest.raises(ConfigError, match=r"caps\.advertiser: got 'advertiser'"):
        world.recommender(caps={"advertiser": 1})
    with pytest.raises(ConfigError, match="k: got 0"):
        world.recommender(constants=LOG_ONLY).recommend(world.requests, 0)
    with pytest.raises(ConfigError, match=r"caps\.ad_id: got 0"):
        RecommenderConfig(caps={"ad_id": 0})
    with pytest.raises(ConfigError, match="diversity"):
        RecommenderConfig(diversity=1.0)
    with pytest.raises(BundleError, match="trained for retrieval"):
        type(world)(world.log, world.catalogue, world.requests, world.towers, world.towers).recommender()
    bad = world.requests.slice(0, 2).to_pylist()
    bad[1]["user_segment"] = "x" * 5000
    with pytest.raises(DataError, match=r"requests, row 2, column 'user_segment'"):
        world.recommender(constants=LOG_ONLY).recommend(bad)
