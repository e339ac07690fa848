"""What is known of requests and of ads, as columns: the same in a log, in a catalogue and in requests alone."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.data.simulator.impressions import Impressions
from clickwise.data.simulator.world import (
    CATEGORIES,
    DEVICES,
    FORMATS,
    INTERESTS,
    PRICE_TIERS,
    PRODUCTS_A_VERTICAL,
    SYSTEMS,
    VERTICALS,
    World,
)
from clickwise.errors import DataError

REQUEST_FIELDS = {
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
}
AD_FIELDS = {
    "ad_id": pa.string(),
    "ad_category": pa.string(),
    "campaign_id": pa.string(),
    "advertiser_id": pa.string(),
}
CATALOGUE_AD_FIELDS = {"ad_product": pa.string(), "ad_format": pa.string(), "ad_price_tier": pa.string()}
"""What is known of an ad beside `AD_FIELDS` where the world has a catalogue."""
OFFER_FIELDS = {"bid_floor": pa.float64()}
"""What a request says last."""
OUTCOME_FIELDS = {"click": pa.int8(), "true_probability": pa.float64()}

MICROSECONDS_A_DAY = 86_400_000_000


def ad_schema(catalogue: bool) -> pa.Schema:
    """The columns that say what an ad is."""
    return pa.schema({**AD_FIELDS, **(CATALOGUE_AD_FIELDS if catalogue else {})})


def log_schema(catalogue: bool) -> pa.Schema:
    """The columns of the log: exact `true_probability`, none to five `interests`, a `user_age` that may be null."""
    ads = {field.name: field.type for field in ad_schema(catalogue)}
    return pa.schema({**REQUEST_FIELDS, **ads, **OFFER_FIELDS, **OUTCOME_FIELDS})


REQUEST_SCHEMA = pa.schema({**REQUEST_FIELDS, **OFFER_FIELDS})
"""The columns of the log that are known before an ad is chosen."""


def request_columns(world: World, seen: Impressions, start: str) -> dict[str, pa.Array]:
    """The columns of `REQUEST_SCHEMA`; `start` is the date of day 0.  each [n]"""
    origin = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()) * 1_000_000
    return {
        "timestamp": pa.array(origin + (seen.day * MICROSECONDS_A_DAY).astype(np.int64)),
        "user_id": _numbered("u", seen.user),
        "user_age": pa.array(seen.age, mask=~world.age_is_logged(seen.user)),
        "user_segment": _numbered("seg", seen.segment),
        "interests": _profiles(world).take(pa.array(seen.profile)),
        "site_id": _numbered("s", seen.site),
        "site_category": pa.array(CATEGORIES).take(pa.array(world.site_category[seen.site])),
        "position": pa.array(seen.position + 1),
        "device_type": pa.array(DEVICES).take(pa.array(seen.device)),
        "os": pa.array(SYSTEMS).take(pa.array(seen.system)),
        "bid_floor": pa.array(seen.bid_floor),
    }


def ad_columns(world: World, ad: np.ndarray) -> dict[str, pa.Array]:
    """The columns of `ad_schema` for the ads of these numbers [n].  each [n]"""
    campaign = world.campaign_of(ad)
    columns = {
        "ad_id": _numbered("a", ad),
        "ad_category": pa.array(VERTICALS).take(pa.array(world.campaign_vertical[campaign])),
        "campaign_id": _numbered("c", campaign),
        "advertiser_id": _numbered("adv", world.campaign_advertiser[campaign]),
    }
    if world.catalogue:
        form, tier = np.divmod(world.creative_of(ad), len(PRICE_TIERS))
        names = pa.array([f"{vertical}-{i}" for vertical in VERTICALS for i in range(1, PRODUCTS_A_VERTICAL + 1)])
        columns["ad_product"] = names.take(pa.array(world.campaign_product[campaign]))
        columns["ad_format"] = pa.array(FORMATS).take(pa.array(form))
        columns["ad_price_tier"] = pa.array(PRICE_TIERS).take(pa.array(tier))
    return columns


def ad_numbers(ad_id: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The world's numbers of ads, from a column `ad_id` [n].  [n] int64

    Raises:
        DataError: something that is no name of an ad.
    """
    is_ad = pc.match_substring_regex(ad_id, "^a[0-9]{1,18}$").fill_null(False)
    if not pc.all(is_ad, min_count=0).as_py():
        row = pc.index(is_ad, False).as_py()
        raise DataError("no name of a simulated ad, such as a17", row=row + 1, column="ad_id", value=ad_id[row].as_py())
    return pc.utf8_slice_codeunits(ad_id, 1).cast(pa.int64()).to_numpy()


def batch_of(columns: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """The columns that `schema` names, in its order and types."""
    return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _numbered(prefix: str, number: np.ndarray) -> pa.Array:
    """Names such as u123."""
    return pc.binary_join_element_wise(prefix, pa.array(number).cast(pa.string()), "")


def _profiles(world: World) -> pa.Array:
    """The interests of each of `World.profiles`, in words."""
    return pa.array([[INTERESTS[i] for i in profile] for profile in world.profiles], pa.list_(pa.string()))
