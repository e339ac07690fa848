from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from clickwise.data.simulator import Oracle, ad_numbers, ads_of_day, catalogue_config, requests, simulate
from clickwise.data.simulator.targeting import CANDIDATES
from clickwise.data.simulator.traffic import arriving, shown
from clickwise.data.simulator.world import World

PLAIN = catalogue_config(4_000, rows=30_000, seed=2)
TARGETED = replace(PLAIN, targeting=0.4)


@pytest.fixture(scope="module")
def logs() -> tuple[pa.Table, pa.Table]:
    return pa.Table.from_batches(simulate(PLAIN)), pa.Table.from_batches(simulate(TARGETED))


def test_the_share_that_was_asked_for_may_see_another_ad(logs):
    plain, targeted = (ad_numbers(log["ad_id"]) for log in logs)
    assert (plain != targeted).mean() == pytest.approx(0.4 * (1.0 - 1.0 / CANDIDATES), abs=0.015)


def test_another_ad_is_a_likelier_one(logs):
    plain, targeted = (log["true_probability"].to_numpy() for log in logs)
    other = ad_numbers(logs[0]["ad_id"]) != ad_numbers(logs[1]["ad_id"])
    assert (targeted[other] > plain[other]).all()
    np.testing.assert_array_equal(targeted[~other], plain[~other])
    assert targeted.mean() > 1.4 * plain.mean()


def test_what_was_shown_is_whole_and_every_day_has_a_draw_of_its_own():
    world, row, other = World(PLAIN), np.arange(2_000), []
    for day in (0, 1):
        seen, found = (f(world, replace(TARGETED, start_day=day), row) for f in (arriving, shown))
        np.testing.assert_array_equal(found.campaign, world.campaign_of(found.ad))
        other.append(found.ad != seen.ad)
    assert (other[0] & other[1]).mean() == pytest.approx(other[0].mean() * other[1].mean(), abs=0.03)


def test_requests_are_the_same(logs):
    asked = pa.Table.from_batches(requests(PLAIN))
    assert logs[1].select(asked.column_names).equals(logs[0].select(asked.column_names))
    assert pa.Table.from_batches(requests(TARGETED)).equals(asked)


def test_the_likeliest_of_eight_is_far_above_the_mean(logs):
    """Among random ads, as good as the best of eight is about one in nine; popularity draws no better ones."""
    oracle, other = Oracle(PLAIN), np.flatnonzero(ad_numbers(logs[0]["ad_id"]) != ad_numbers(logs[1]["ad_id"]))[:400]
    ads = np.random.default_rng(1).choice(ads_of_day(oracle.world, 0), 500, replace=False)
    truth = logs[1]["true_probability"].to_numpy()[other]
    beaten = (oracle.probability(oracle.requests(other), ads) < truth[:, None]).mean()
    assert beaten == pytest.approx(CANDIDATES / (CANDIDATES + 1), abs=0.03)


def test_popularity_is_still_steep(logs):
    for log in logs:
        times = np.sort(np.unique(ad_numbers(log["ad_id"]), return_counts=True)[1])[::-1]
        assert times[: len(times) // 100].sum() > 0.12 * len(log)
        assert np.median(times) <= 4


@pytest.mark.parametrize("chunk_rows", [1, 700, 10**6])
def test_the_size_of_chunks_changes_nothing(chunk_rows, logs):
    rows = 50 if chunk_rows == 1 else 3_000
    small = replace(TARGETED, rows=rows)
    expected = pa.Table.from_batches(simulate(small)).combine_chunks()
    assert pa.Table.from_batches(simulate(replace(small, chunk_rows=chunk_rows))).combine_chunks().equals(expected)
