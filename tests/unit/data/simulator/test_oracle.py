from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.data.simulator import (
    BestAdSearch,
    Oracle,
    SimulatorConfig,
    ad_numbers,
    ads_of_day,
    catalogue_config,
    simulate,
)
from clickwise.data.simulator import oracle as module

CONFIG = catalogue_config(2_000, rows=60, seed=3, start_day=2)
ORACLE = Oracle(CONFIG)


ADS = ads_of_day(ORACLE.world, 2)


@pytest.mark.parametrize(
    "config",
    [
        SimulatorConfig(rows=400, start_day=5, days=3.0),
        catalogue_config(5_000, rows=400, click_rate=0.1),
        catalogue_config(5_000, rows=400, targeting=0.5),
    ],
    ids=["usual", "catalogue", "targeted"],
)
def test_the_truth_of_a_row_is_that_of_its_request_and_its_ad(config):
    log = pa.Table.from_batches(simulate(config))
    oracle, shown = Oracle(config), ad_numbers(log["ad_id"])
    truth = log["true_probability"].to_numpy()
    requests = oracle.requests(np.arange(400))
    np.testing.assert_array_equal(oracle.probability(requests, shown[:, None])[:, 0], truth)
    np.testing.assert_array_equal(np.diag(oracle.probability(requests, shown)), truth)


def test_lists_of_each_request_and_lists_for_all_agree():
    requests = ORACLE.requests(np.array([7, 0, 59]))
    for_all = ORACLE.probability(requests, ADS[:50])
    np.testing.assert_array_equal(ORACLE.probability(requests, np.tile(ADS[:50], (3, 1))), for_all)
    own = np.stack([ADS[:2], ADS[5:7], ADS[40:42]])
    expected = np.stack([for_all[0, :2], for_all[1, 5:7], for_all[2, 40:42]])
    np.testing.assert_array_equal(ORACLE.probability(requests, own), expected)
    assert ORACLE.probability(requests, ADS[:0]).shape == (3, 0)


def test_the_size_of_blocks_changes_nothing():
    requests = ORACLE.requests(np.arange(20))
    expected = ORACLE.probability(requests, ADS)
    with mock.patch.object(module, "BLOCK_PAIRS", 3 * len(ADS)):
        np.testing.assert_array_equal(ORACLE.probability(requests, ADS), expected)
        own = np.random.default_rng(0).permuted(np.tile(ADS, (20, 1)), axis=1)
        place = np.searchsorted(ADS, own)
        found = ORACLE.probability(requests, own)
        np.testing.assert_array_equal(found, np.take_along_axis(expected, place, axis=1))


@settings(max_examples=25, deadline=None)
@given(
    block_ads=st.integers(1, 400),
    block_pairs=st.integers(1, 3_000),
    count=st.integers(1, 300),
    k=st.integers(1, 310),
    queries=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_best_are_those_of_a_full_sort(block_ads, block_pairs, count, k, queries, seed):
    some = np.random.default_rng(seed).permutation(ADS)[:count]
    requests = ORACLE.requests(np.arange(queries))
    with mock.patch.multiple(module, BLOCK_ADS=block_ads, BLOCK_PAIRS=block_pairs):
        found = BestAdSearch(ORACLE, some).search(requests, k)
    every = ORACLE.probability(requests, some)
    order = np.argsort(-every, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.probability, np.take_along_axis(every, order, 1))
    np.testing.assert_array_equal(found.ad, some[order])


def test_a_search_can_be_asked_again():
    search = BestAdSearch(ORACLE, ADS)
    first, again = search.search(ORACLE.requests(np.arange(5)), 10), search.search(ORACLE.requests(np.arange(9)), 10)
    np.testing.assert_array_equal(first.ad, again.ad[:5])


def test_the_best_differ_from_user_to_user():
    best = BestAdSearch(ORACLE, ADS).search(ORACLE.requests(np.arange(60)), 10).ad
    overlap = [len(np.intersect1d(best[i], best[j])) for i in range(60) for j in range(i)]
    assert np.mean(overlap) < 2.0


def test_what_all_ads_of_a_campaign_share_says_most_of_an_ad():
    """With what an ad has of its own gone, most of the best ten are still among the best hundred."""
    search = BestAdSearch(ORACLE, ADS)
    requests = ORACLE.requests(np.arange(60))
    best = search.search(requests, 10).ad
    search._blocks = [
        replace(
            block,
            effect=0.0 * block.effect,
            vector=ORACLE.world.campaign_vector[:, block.campaign.of_each(block.campaign.value)],
        )
        for block in search._blocks
    ]
    blind = search.search(requests, 100).ad
    assert np.mean([np.isin(b, a).mean() for a, b in zip(blind, best, strict=True)]) > 0.9
