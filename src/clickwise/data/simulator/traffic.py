"""The log of a simulated exchange, its requests and its ads, as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from clickwise.data.simulator.ads import ads_of_day
from clickwise.data.simulator.columns import (
    REQUEST_SCHEMA,
    ad_columns,
    ad_schema,
    batch_of,
    log_schema,
    request_columns,
)
from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.impressions import Impressions, draw, times
from clickwise.data.simulator.targeting import targeted
from clickwise.data.simulator.truth import intercept, log_odds
from clickwise.data.simulator.world import World
from clickwise.metrics import probability


def simulate(config: SimulatorConfig) -> Iterator[pa.RecordBatch]:
    """The log in order of time, in batches of `config.chunk_rows` rows (the last may be shorter) of `log_schema`.

    Equal configs give equal rows, bit for bit, whatever `chunk_rows` is. Memory: that of one batch and of the ads.
    """
    world, schema = World(config), log_schema(config.catalogue)
    base = intercept(world, config.click_rate)
    for row in _rows(config):
        seen = shown(world, config, row)
        truth = probability(base + log_odds(world, seen))
        click = world.noise.uniform("click", config.start_day, row) < truth
        outcome = {"click": pa.array(click.astype(np.int8)), "true_probability": pa.array(truth)}
        columns = {**request_columns(world, seen, config.start), **ad_columns(world, seen.ad), **outcome}
        yield batch_of(columns, schema)


def requests(config: SimulatorConfig) -> Iterator[pa.RecordBatch]:
    """The log's rows before an ad is chosen: who arrives where and when, in batches of `REQUEST_SCHEMA`."""
    world = World(config)
    for row in _rows(config):
        yield batch_of(request_columns(world, arriving(world, config, row), config.start), REQUEST_SCHEMA)


def catalogue(config: SimulatorConfig, day: int | None = None) -> Iterator[pa.RecordBatch]:
    """All ads that run at some time of a day, by rising number, in batches of `ad_schema`; a row each.

    Args:
        config: the world, and the rows of a batch.
        day: of the world; the day on which the traffic of `config` begins, unless given.
    """
    world, schema = World(config), ad_schema(config.catalogue)
    ads = ads_of_day(world, config.start_day if day is None else day)
    for start in range(0, len(ads), config.chunk_rows):
        yield batch_of(ad_columns(world, ads[start : start + config.chunk_rows]), schema)


def arriving(world: World, config: SimulatorConfig, row: np.ndarray) -> Impressions:
    """The impressions behind these rows [n] of the log, with the ads that popularity proposes."""
    first_day = float(config.start_day)
    return draw(world, config.start_day, row, times(world, config.start_day, row, config.rows, first_day, config.days))


def shown(world: World, config: SimulatorConfig, row: np.ndarray) -> Impressions:
    """The impressions behind these rows [n] of the log, with the ads that are shown."""
    return targeted(world, config.start_day, row, arriving(world, config, row), config.targeting)


def _rows(config: SimulatorConfig) -> Iterator[np.ndarray]:
    """Numbers of the rows of each batch."""
    for start in range(0, config.rows, config.chunk_rows):
        yield np.arange(start, min(start + config.chunk_rows, config.rows))
