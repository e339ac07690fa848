"""The log of a simulated exchange, as Arrow batches in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.impressions import Impressions, draw, times
from clickwise.data.simulator.truth import intercept, log_odds
from clickwise.data.simulator.world import CATEGORIES, DEVICES, INTERESTS, SYSTEMS, VERTICALS, World
from clickwise.metrics import probability

SCHEMA = pa.schema(
    {
        "timestamp": pa.timestamp("us"),
        "user_id": pa.string(),
        "user_age": pa.float32(),
        "user_segment": pa.string(),
        "interests": pa.list_(pa.string()),
        "site_id": pa.string(),
        "site_category": pa.string(),
        "position": pa.int8(),
        "device_type": pa.string(),
        "os": pa.string(),
        "ad_id": pa.string(),
        "ad_category": pa.string(),
        "campaign_id": pa.string(),
        "advertiser_id": pa.string(),
        "bid_floor": pa.float64(),
        "click": pa.int8(),
        "true_probability": pa.float64(),
    }
)
"""The columns of the log: exact `true_probability`, none to five `interests`, a `user_age` that may be null."""

MICROSECONDS_A_DAY = 86_400_000_000


def simulate(config: SimulatorConfig) -> Iterator[pa.RecordBatch]:
    """The log, in batches of `config.chunk_rows` rows (the last may be shorter) of `SCHEMA`.

    Equal configs give equal rows, bit for bit, whatever `chunk_rows` is. Memory: that of one batch.
    """
    world = World(config)
    base = intercept(world, config.click_rate)
    stream, first_day = config.start_day, float(config.start_day)
    for start in range(0, config.rows, config.chunk_rows):
        row = np.arange(start, min(start + config.chunk_rows, config.rows))
        seen = draw(world, stream, row, times(world, stream, row, config.rows, first_day, config.days))
        truth = probability(base + log_odds(world, seen))
        click = world.noise.uniform("click", stream, row) < truth
        yield _record_batch(world, seen, truth, click, config.start)


def _record_batch(world: World, seen: Impressions, truth: np.ndarray, click: np.ndarray, start: str) -> pa.RecordBatch:
    origin = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()) * 1_000_000
    age = pa.array(seen.age, mask=~world.age_is_logged(seen.user))
    columns = {
        "timestamp": pa.array(origin + (seen.day * MICROSECONDS_A_DAY).astype(np.int64)),
        "user_id": _numbered("u", seen.user),
        "user_age": age,
        "user_segment": _numbered("seg", seen.segment),
        "interests": _profiles(world).take(pa.array(seen.profile)),
        "site_id": _numbered("s", seen.site),
        "site_category": pa.array(CATEGORIES).take(pa.array(world.site_category[seen.site])),
        "position": pa.array(seen.position + 1),
        "device_type": pa.array(DEVICES).take(pa.array(seen.device)),
        "os": pa.array(SYSTEMS).take(pa.array(seen.system)),
        "ad_id": _numbered("a", seen.ad),
        "ad_category": pa.array(VERTICALS).take(pa.array(world.campaign_vertical[seen.campaign])),
        "campaign_id": _numbered("c", seen.campaign),
        "advertiser_id": _numbered("adv", world.campaign_advertiser[seen.campaign].astype(np.int64)),
        "bid_floor": pa.array(seen.bid_floor),
        "click": pa.array(click.astype(np.int8)),
        "true_probability": pa.array(truth),
    }
    return pa.RecordBatch.from_arrays([columns[f.name].cast(f.type) for f in SCHEMA], schema=SCHEMA)


def _numbered(prefix: str, number: np.ndarray) -> pa.Array:
    """Names such as u123."""
    return pc.binary_join_element_wise(prefix, pa.array(number).cast(pa.string()), "")


def _profiles(world: World) -> pa.Array:
    """The interests of each of `World.profiles`, in words."""
    return pa.array([[INTERESTS[i] for i in profile] for profile in world.profiles], pa.list_(pa.string()))
