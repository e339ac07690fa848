from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clickwise.data.simulator import (
    SimulatorConfig,
    ad_numbers,
    ads_of_day,
    catalogue,
    catalogue_config,
    popularity,
    requests,
    simulate,
)
from clickwise.data.simulator.columns import REQUEST_SCHEMA, ad_schema, log_schema
from clickwise.data.simulator.impressions import popular_ads
from clickwise.data.simulator.world import World
from clickwise.errors import ConfigError, DataError

USUAL = SimulatorConfig(rows=20_000, seed=4, start_day=6)
CATALOGUE = catalogue_config(3_000, rows=20_000, seed=4, start_day=6, targeting=0.3)
BOTH = pytest.mark.parametrize("config", [USUAL, CATALOGUE], ids=["usual", "catalogue"])


def table(batches) -> pa.Table:
    return pa.Table.from_batches(batches).combine_chunks()


@BOTH
def test_a_row_of_the_log_says_of_its_ad_what_the_catalogue_says(config):
    log, ads = table(simulate(config)), table(catalogue(config))
    assert ads.schema.equals(ad_schema(config.catalogue))
    assert log.schema.equals(log_schema(config.catalogue))
    row = pc.index_in(log["ad_id"], ads["ad_id"].combine_chunks())
    assert row.null_count == 0, "every ad that was shown ran on that day"
    assert ads.take(row).equals(log.select(ads.column_names))


@BOTH
def test_every_ad_of_the_day_has_one_row(config):
    world, number = World(config), ad_numbers(table(catalogue(config))["ad_id"])
    assert (np.diff(number) > 0).all()
    slot = np.arange(config.num_ads)
    at = [world.ad_at(slot, np.array([6.0 + hour / 240.0])) for hour in range(240)]
    np.testing.assert_array_equal(number, np.unique(np.concatenate([*at, world.ad_at(slot, np.array([7.0]))])))
    assert 1.10 < len(number) / config.num_ads < 1.22


def test_a_day_can_be_named():
    assert table(catalogue(CATALOGUE, 9)).equals(table(catalogue(catalogue_config(3_000, rows=1, seed=4, start_day=9))))
    assert not table(catalogue(CATALOGUE, 9)).equals(table(catalogue(CATALOGUE)))


def test_batches_have_the_rows_that_were_asked_for():
    small = catalogue_config(3_000, rows=20_000, seed=4, start_day=6, chunk_rows=1_000)
    batches = list(catalogue(small))
    assert [batch.num_rows for batch in batches[:-1]] == [1_000] * (len(batches) - 1)
    assert pa.Table.from_batches(batches).combine_chunks().equals(table(catalogue(CATALOGUE)))


@BOTH
def test_requests_are_the_rows_of_the_log_before_an_ad_is_chosen(config):
    asked = table(requests(config))
    assert asked.schema.equals(REQUEST_SCHEMA)
    assert asked.equals(table(simulate(config)).select(REQUEST_SCHEMA.names))


def test_the_usual_world_says_nothing_new():
    assert not {"ad_product", "ad_format", "ad_price_tier"} & set(log_schema(catalogue=False).names)


def test_products_belong_to_verticals_and_advertisers_to_one():
    ads = table(catalogue(CATALOGUE))
    for key, value in [
        ("ad_product", "ad_category"),
        ("campaign_id", "ad_product"),
        ("campaign_id", "advertiser_id"),
        ("advertiser_id", "ad_category"),
    ]:
        counts = ads.group_by(key).aggregate([(value, "count_distinct")])[f"{value}_count_distinct"]
        assert pc.max(counts).as_py() == 1
    assert pc.all(pc.equal(pc.replace_substring_regex(ads["ad_product"], "-[1-8]$", ""), ads["ad_category"])).as_py()
    for column, count in [("ad_format", 6), ("ad_price_tier", 5), ("ad_category", 12)]:
        assert len(ads[column].unique()) == count
        assert ads[column].value_counts().field("counts").to_numpy().min() > 0.01 * len(ads)


@pytest.mark.parametrize(
    ("num_ads", "campaigns", "advertisers"), [(10**6, 20_000, 2_000), (4_000, 200, 50), (7, 7, 50)]
)
def test_campaigns_and_advertisers_grow_with_the_ads(num_ads, campaigns, advertisers):
    config = catalogue_config(num_ads, rows=1)
    assert (config.num_ads, config.num_campaigns) == (num_ads, campaigns)
    assert World(config).num_advertisers == advertisers


def test_a_million_ads_are_shown_as_zipf_has_it():
    world = World(catalogue_config(10**6, rows=1))
    shown = popular_ads(world, world.noise.uniform("test", np.arange(400_000)), np.full(400_000, 0.5))
    times = np.sort(np.unique(shown, return_counts=True)[1])[::-1]
    assert len(ads_of_day(world, 0)) > 10**6
    edge = (np.array([0.0, 1_000.0, 100_000.0, 10.0**6]) + 40.0) ** -0.15
    head, _, tail = -np.diff(edge) / (edge[0] - edge[-1])
    assert times[:1_000].sum() / 400_000 == pytest.approx(head, abs=0.01)
    assert head == pytest.approx(0.49, abs=0.01)
    assert (times == 1).mean() > 0.7
    assert (shown % 10**6 >= 100_000).mean() == pytest.approx(tail, abs=0.005), "the last nine tenths of the ads"


def test_popularity_is_the_share_of_the_impressions_while_an_ad_runs():
    world = World(catalogue_config(500, rows=1))
    shown = popular_ads(world, world.noise.uniform("test", np.arange(400_000)), np.full(400_000, 3.5))
    number, times = np.unique(shown, return_counts=True)
    expected = 400_000 * popularity(world, number)
    assert popularity(world, number).sum() == pytest.approx(1.0)
    assert (np.abs(times - expected) < 5.0 * np.sqrt(expected)).all()


def test_the_click_rate_of_a_catalogue_is_the_one_asked_for():
    log = table(simulate(catalogue_config(50_000, rows=60_000, click_rate=0.1)))
    assert log["click"].to_numpy().mean() == pytest.approx(0.1, rel=0.08)


def test_names_of_ads_and_back():
    np.testing.assert_array_equal(ad_numbers(pa.chunked_array([["a0"], ["a1000017"]])), [0, 1_000_017])
    assert len(ad_numbers(pa.array([], pa.string()))) == 0
    for bad in ("b7", "a", "a-1", "a1x", None):
        with pytest.raises(DataError, match=r"^row 2, column 'ad_id'.*no name of a simulated ad"):
            ad_numbers(pa.array(["a1", bad]))


@pytest.mark.parametrize("bad", [{"num_ads": 0}, {"targeting": 1.0}, {"targeting": -0.1}])
def test_values_out_of_range_name_the_key(bad):
    with pytest.raises(ConfigError, match=rf"^{next(iter(bad))}: got .* allowed is"):
        catalogue_config(**{"num_ads": 10, "rows": 10, **bad})


def test_tiny_catalogues_work():
    config = catalogue_config(1, rows=20, num_users=1, num_sites=1, targeting=0.9)
    assert set(table(simulate(config))["ad_id"].to_pylist()) <= set(table(catalogue(config))["ad_id"].to_pylist())
