"""Who sees which ad where: impressions as integers and numbers, before they become rows of a log."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from clickwise.data.simulator.noise import zipf, zipf_share
from clickwise.data.simulator.world import (
    AD_ZIPF,
    DEVICE_SHARES,
    POSITION_SHARES,
    SITE_ZIPF,
    USER_ZIPF,
    World,
    choose,
)

STAYS_ON_DEVICE = 0.8
"""Share of a user's impressions that are on the user's main device; the others are on any."""
TRAFFIC_SWING = 0.55
"""Traffic rises and falls over the day by this share of its mean,"""
TRAFFIC_PEAK = 19.0 / 24.0
"""with its peak at this time of day."""


@dataclass(frozen=True, slots=True)
class Impressions:
    """n impressions, each attribute an array [n].

    Args:
        day: time in days since the start of the world.
        user, site, ad, campaign: numbers of the world's things; ads are numbered over all times.
        profile: position of the user's interests in `World.profiles`.
        segment, device, system, position: codes from 0.
        age: years, known to the log or not.
        bid_floor: price in cents, as the log has it.
    """

    day: np.ndarray
    user: np.ndarray
    site: np.ndarray
    ad: np.ndarray
    campaign: np.ndarray
    profile: np.ndarray
    segment: np.ndarray
    device: np.ndarray
    system: np.ndarray
    position: np.ndarray
    age: np.ndarray
    bid_floor: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    def __getitem__(self, rows: slice | np.ndarray | tuple[slice | None, ...]) -> Impressions:
        """Some of the impressions; with `[:, None]` each attribute is [n, 1], to meet ads [C] or [n, C]."""
        return Impressions(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw(world: World, stream: int, row: np.ndarray, day: np.ndarray) -> Impressions:
    """The impressions of the rows numbered `row` [n] of `stream`, which happen at the times `day` [n]."""
    noise = world.noise
    user = zipf(noise.uniform("user", stream, row), world.num_users, *USER_ZIPF)
    site = zipf(noise.uniform("site", stream, row), world.num_sites, *SITE_ZIPF)
    ad = popular_ads(world, noise.uniform("ad", stream, row), day)
    other_device = choose(noise.uniform("device", stream, row), DEVICE_SHARES)
    stays = noise.uniform("stays on device", stream, row) < STAYS_ON_DEVICE
    device = np.where(stays, world.device_of(user), other_device)
    position = choose(noise.uniform("position", stream, row), POSITION_SHARES)
    price = np.exp(0.9 + 0.3 * world.site_price[site] - 0.12 * position + 0.35 * noise.normal("price", stream, row))
    return Impressions(
        day=day,
        user=user,
        site=site,
        ad=ad,
        campaign=world.campaign_of(ad),
        profile=world.profile_of(user),
        segment=world.segment_of(user),
        device=device,
        system=world.system_of(user, device),
        position=position,
        age=world.age_of(user),
        bid_floor=np.maximum(np.rint(price * 100.0) / 100.0, 0.01),
    )


def popular_ads(world: World, uniform: np.ndarray, day: np.ndarray) -> np.ndarray:
    """The ads that uniform numbers fall on when popularity alone decides, at the times `day`.  their shape"""
    return world.ad_at(zipf(uniform, world.num_ads, *AD_ZIPF), day)


def popularity(world: World, ad: np.ndarray) -> np.ndarray:
    """The chance that popularity proposes each ad, at a time at which it runs.  [...]"""
    return zipf_share(ad % world.num_ads, world.num_ads, *AD_ZIPF)


def times(world: World, stream: int, row: np.ndarray, total: int, first_day: float, days: float) -> np.ndarray:
    """When the rows numbered `row` [n] of `total` happen, in days since the start of the world, never decreasing.

    Row i falls into the i-th of `total` slices of equal traffic, so that times are in order and no sort is needed.
    """
    share = (row + world.noise.uniform("time", stream, row)) / total
    grid = first_day + days * np.linspace(0.0, 1.0, 1 + max(96, int(np.ceil(96 * days))))
    done = grid + TRAFFIC_SWING / (2.0 * np.pi) * np.sin(2.0 * np.pi * (grid - TRAFFIC_PEAK))
    return np.interp(share * (done[-1] - done[0]), done - done[0], grid)
