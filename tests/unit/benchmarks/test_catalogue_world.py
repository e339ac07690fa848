"""The world that benchmarks of retrieval share: what its files hold, and what its measures say."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def module(script: Callable[[str], Any]) -> Any:
    return script("catalogue_world")


@pytest.fixture
def world(module: Any, tmp_path: Path) -> Any:
    sizes = module.WorldSizes(ads=300, rows=600, next_rows=200, requests=12, best=8)
    return module.build(sizes, tmp_path, tell=lambda line: None)


def test_the_files_are_those_of_two_days(world: Any) -> None:
    log, next_log, asked = (pq.read_table(path) for path in (world.log, world.next_log, world.requests))
    assert (len(log), len(next_log), len(asked)) == (600, 200, 12)
    assert log["timestamp"].to_numpy().max() < next_log["timestamp"].to_numpy().min()
    ads = pq.read_table(world.catalogue)
    assert set(next_log["ad_id"].to_pylist()) <= set(ads["ad_id"].to_pylist())
    assert {*asked.column_names, *ads.column_names, "click", "true_probability"} == set(log.column_names)
    assert [f"a{number}" for number in world.ads] == ads["ad_id"].to_pylist()
    assert world.ads[world.popularity.argmax()] % 300 == 0 and len(world.popularity) == len(ads)


def test_the_best_are_worth_one_and_all_others_less(world: Any) -> None:
    every = world.probability(world.ads)
    order = np.argsort(-every, axis=1)
    np.testing.assert_array_equal(world.best.ad, world.ads[order[:, :8]])
    np.testing.assert_allclose(world.value_of(world.best.ad[:, :5]), 1.0)
    worst = world.ads[order[:, -5:]]
    expected = np.sort(every, axis=1)[:, :5].mean(1) / -np.sort(-every, axis=1)[:, :5].mean(1)
    np.testing.assert_allclose(world.value_of(worst), expected)


def test_some_requests_alone_and_ads_that_are_missing(world: Any) -> None:
    found = world.best.ad[[3, 9]].copy()
    found[0, :4], found[1, 7] = -1, world.ads[~np.isin(world.ads, world.best.ad[9])][0]
    some = np.array([3, 9])
    assert (world.probability(found, some)[0, :4] == 0.0).all()
    np.testing.assert_allclose(world.recall_of(found, 8, some), [0.5, 7 / 8])
    np.testing.assert_allclose(world.recall_of(found, 4, some), [0.0, 1.0])
    true = world.best.probability[3]
    assert world.value_of(found, some)[0] == pytest.approx(true[4:].sum() / true.sum())


def test_a_world_is_built_once_and_others_lie_beside_it(module: Any, world: Any) -> None:
    told: list[str] = []
    again = module.build(world.sizes, world.folder.parent, tell=told.append)
    assert (told, again.folder) == ([], world.folder)
    other = module.WorldSizes(ads=300, rows=600, next_rows=200, requests=12, best=9)
    assert module.build(other, world.folder.parent, tell=told.append).folder != world.folder
    assert len(told) == 5


def test_flags_win_over_short(module: Any) -> None:
    parser = argparse.ArgumentParser()
    module.add_flags(parser)
    assert module.sizes_of(parser.parse_args([])) == module.WorldSizes()
    short = module.sizes_of(parser.parse_args(["--short", "--ads", "77", "--click-rate", "0.2"]))
    assert (short.ads, short.click_rate, short.rows) == (77, 0.2, module.SHORT.rows)


def test_lists_for_everyone_are_ordered(module: Any, world: Any) -> None:
    lists = module.rough_lists(world, 8)
    value = {name: world.value_of(ads).mean() for name, ads in lists.items()}
    assert all(len(np.unique(ads)) == 8 and np.isin(ads, world.ads).all() for ads in lists.values())
    assert 1.0 > value["best for everyone"] > value["random"]
