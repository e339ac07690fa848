from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clickwise.data.simulator import SimulatorConfig, simulate
from clickwise.data.simulator.columns import log_schema
from clickwise.data.simulator.effects import EFFECTS
from clickwise.data.simulator.impressions import draw, times
from clickwise.data.simulator.truth import intercept, log_odds_parts
from clickwise.data.simulator.world import World
from clickwise.errors import ConfigError
from clickwise.metrics import log_loss, logit_of, roc_auc


def log(**config) -> pa.Table:
    return pa.Table.from_batches(simulate(SimulatorConfig(**config)))


@pytest.fixture(scope="module")
def day() -> pa.Table:
    return log(rows=200_000)


@pytest.fixture(scope="module")
def seen():
    world, row = World(SimulatorConfig(rows=1)), np.arange(100_000)
    return world, draw(world, 0, row, times(world, 0, row, 100_000, 0.0, 1.0))


def column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


def test_the_same_config_gives_the_same_bits():
    assert log(rows=5_000, seed=3).equals(log(rows=5_000, seed=3))
    assert not log(rows=5_000, seed=3).equals(log(rows=5_000, seed=4))


@pytest.mark.parametrize("chunk_rows", [1, 999, 4_096, 10**6])
def test_the_size_of_chunks_changes_nothing(chunk_rows):
    rows = 3_000 if chunk_rows > 1 else 20
    expected = log(rows=rows).combine_chunks()
    batches = list(simulate(SimulatorConfig(rows=rows, chunk_rows=chunk_rows)))
    assert all(batch.num_rows == chunk_rows for batch in batches[:-1])
    assert pa.Table.from_batches(batches).combine_chunks().equals(expected)


def test_columns_are_as_declared(day):
    assert day.schema.equals(log_schema(catalogue=False))
    nulls = {name for name in day.column_names if day[name].null_count}
    assert nulls == {"user_age"}
    assert day["user_age"].null_count / 200_000 == pytest.approx(0.15, abs=0.03)
    assert set(column(day, "click")) == {0, 1}
    assert set(column(day, "position")) == {1, 2, 3, 4, 5}
    assert column(day, "bid_floor").min() > 0.0


def test_rows_are_in_order_of_time_and_fill_the_day(day):
    when = column(day, "timestamp")
    assert (np.diff(when) >= np.timedelta64(0)).all()
    assert when[0] >= np.datetime64("2026-01-01") and when[-1] < np.datetime64("2026-01-02")
    by_hour = np.bincount((when - np.datetime64("2026-01-01")).astype("timedelta64[h]").astype(int), minlength=24)
    assert by_hour.min() > 0.4 * 200_000 / 24
    assert by_hour.argmax() in (18, 19) and by_hour.argmin() in (6, 7)


@pytest.mark.parametrize(
    "config",
    [
        *({"seed": seed} for seed in range(6)),
        {"seed": 1, "start_day": 1},
        {"seed": 1, "start_day": 400},
        {"seed": 2, "days": 7.5},
        {"rows": 20_000},
        {"rows": 200_000},
    ],
    ids=str,
)
def test_click_rate_is_three_to_five_percent(config):
    clicks = column(log(**{"rows": 40_000, **config}), "click")
    assert 0.03 <= clicks.mean() <= 0.05


def test_another_click_rate_can_be_asked_for():
    assert column(log(rows=40_000, click_rate=0.2), "true_probability").mean() == pytest.approx(0.2, rel=0.1)


def test_true_probability_is_the_chance_of_a_click(day):
    truth, click = column(day, "true_probability"), column(day, "click")
    for chosen in [np.full(len(truth), True), *np.array_split(np.argsort(truth), 10)]:
        expected, spread = truth[chosen].sum(), np.sqrt((truth[chosen] * (1 - truth[chosen])).sum())
        assert abs(click[chosen].sum() - expected) < 4.0 * spread


def test_true_probability_is_the_sum_of_the_declared_effects(day, seen):
    world, _ = seen
    row = np.arange(1_000)
    first = draw(world, 0, row, times(world, 0, row, 200_000, 0.0, 1.0))
    parts = log_odds_parts(world, first)
    expected = intercept(world, 0.04) + sum(parts.values())
    np.testing.assert_allclose(logit_of(column(day, "true_probability")[:1_000]), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", [7, 1, 2])
def test_the_best_model_can_be_good_but_not_perfect(seed):
    table = log(rows=100_000, seed=seed)
    assert 0.75 < roc_auc(logit_of(column(table, "true_probability")), column(table, "click")) < 0.82


@pytest.mark.parametrize("part", ["main", "nonlinear", "latent", "pairs"])
def test_every_part_of_the_truth_matters(part, seen):
    world, impressions = seen
    parts = log_odds_parts(world, impressions)
    assert 0.3 < parts[part].std() < 1.0
    whole = intercept(world, 0.04) + sum(parts.values())
    click = world.noise.uniform("test", 0, np.arange(len(whole))) < 1.0 / (1.0 + np.exp(-whole))
    without = whole - parts[part] + parts[part].mean()
    assert log_loss(without, click) > log_loss(whole, click) + 0.001


def test_the_stated_share_of_impressions_carries_a_pair(seen):
    world, impressions = seen
    share = (log_odds_parts(world, impressions)["pairs"] != 0).mean()
    assert share == pytest.approx(2 * EFFECTS.pair_share, rel=0.3)


def test_the_same_world_whatever_the_rows_and_the_day(day):
    """A user, a site and an ad have the same attributes in every log of a seed."""
    other = log(rows=50_000, start_day=1)
    for key, value in [
        ("user_id", "user_segment"),
        ("user_id", "user_age"),
        ("site_id", "site_category"),
        ("ad_id", "campaign_id"),
        ("campaign_id", "advertiser_id"),
        ("campaign_id", "ad_category"),
    ]:
        both = pa.concat_tables([day.select([key, value]), other.select([key, value])])
        distinct = both.group_by(key).aggregate([(value, "count_distinct", pc.CountOptions(mode="all"))])
        assert pc.max(distinct[f"{value}_count_distinct"]).as_py() == 1


def test_the_next_day_goes_on_with_fresh_traffic(day):
    tomorrow = log(rows=200_000, start_day=1)
    assert column(tomorrow, "timestamp")[0] >= np.datetime64("2026-01-02")
    assert (column(tomorrow, "user_id") == column(day, "user_id")).mean() < 0.01
    ads, new_ads = (set(table["ad_id"].unique().to_pylist()) for table in (day, tomorrow))
    assert 0.6 < len(ads & new_ads) / len(new_ads) < 0.95


def test_ads_appear_and_retire_within_the_day(day):
    when, ad = column(day, "timestamp"), column(day, "ad_id")
    early, late = set(ad[when < np.datetime64("2026-01-01T06")]), set(ad[when >= np.datetime64("2026-01-01T18")])
    seen_often = {a for a, n in zip(*np.unique(ad, return_counts=True), strict=True) if n >= 100}
    assert seen_often & (early - late) and seen_often & (late - early)


def test_a_few_are_seen_often_and_most_hardly_ever(day):
    for key, least_share_of_head in (("user_id", 0.05), ("ad_id", 0.15)):
        counts = np.sort(np.unique(column(day, key), return_counts=True)[1])[::-1]
        assert counts[: len(counts) // 100].sum() / 200_000 > least_share_of_head
    counts = np.unique(column(day, "user_id"), return_counts=True)[1]
    assert (counts <= 2).mean() > 0.4


def test_drift_moves_the_truth(seen):
    world, impressions = seen
    later = dataclasses.replace(impressions, day=impressions.day + 3.0)
    change = log_odds_parts(world, later)["main"] - log_odds_parts(world, impressions)["main"]
    assert 0.05 < change.std() < 0.5


def test_interests_are_words_and_never_twice(day):
    lists = day["interests"].slice(0, 5_000).to_pylist()
    assert {len(words) for words in lists} == {0, 1, 2, 3, 4, 5}
    assert all(len(set(words)) == len(words) for words in lists)


@pytest.mark.parametrize(
    "bad", [{"rows": 0}, {"days": 0.0}, {"start": "tomorrow"}, {"start_day": -1}, {"click_rate": 1.0}, {"num_ads": 0}]
)
def test_values_out_of_range_name_the_key(bad):
    with pytest.raises(ConfigError, match=rf"^{next(iter(bad))}: got .* allowed is"):
        SimulatorConfig(**{"rows": 10, **bad})


def test_tiny_worlds_work():
    table = log(rows=50, num_users=1, num_sites=1, num_campaigns=1, num_ads=1)
    assert table["user_id"].unique().to_pylist() == ["u0"]
