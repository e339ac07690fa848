"""How likely a click is: the exact probability behind every simulated label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickwise.data.simulator.impressions import Impressions, draw
from clickwise.data.simulator.world import CATEGORIES, DEVICES, NUM_POSITIONS, NUM_SEGMENTS, RANK, SYSTEMS, World
from clickwise.metrics import probability

PILOT_STREAM = 2**40
"""The stream of the impressions that set the intercept; traffic uses the day it begins on."""
PILOT_ROWS = 65_536
PILOT_DAYS = 28.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """Standard deviations of the effects in log-odds, unless said otherwise.

    Args:
        drift: how far a campaign's effect swings, over 5 to 40 days.
        price: change for each unit of log price.
        position: fall from one position to the next on a desktop; phones scroll, so there it is a fifth of that.
        hour: swing over the day, with a peak of its own for each device.
        age: how much 16 years from the age of 42, in either direction, add.
        interest, segment_latent, site_latent, user_latent: inner products with the ad's latent vector.
        pair_share: chance that a pair of a segment and a campaign carries an effect of its own; the same for a site and
            a campaign. About twice this share of impressions carry at least one.
        pair: size of such an effect; 3 of 5 raise the odds, 2 of 5 lower them.
    """

    site: float = 0.30
    category: float = 0.12
    campaign: float = 0.33
    drift: float = 0.20
    ad: float = 0.20
    ad_vector: float = 0.10
    segment: float = 0.20
    device: float = 0.15
    system: float = 0.10
    user: float = 0.12
    price: float = -0.15
    position: float = 0.30
    hour: float = 0.20
    age: float = 0.30
    interest: float = 0.85
    segment_latent: float = 0.45
    site_latent: float = 0.40
    user_latent: float = 0.08
    pair_share: float = 0.05
    pair: float = 1.3


EFFECTS = Effects()
DEVICE_PEAK_HOUR = np.array([21.0, 11.0, 19.0, 22.0])


def log_odds_parts(world: World, seen: Impressions, effects: Effects = EFFECTS) -> dict[str, np.ndarray]:
    """The parts whose sum, with the intercept, is the log-odds of a click.  each [n]"""
    return {
        "main": _main(world, seen, effects),
        "nonlinear": _nonlinear(seen, effects),
        "latent": _latent(world, seen, effects),
        "pairs": _pairs(world, seen, effects),
    }


def log_odds(world: World, seen: Impressions) -> np.ndarray:
    """The log-odds of a click, without the intercept.  [n]"""
    parts = log_odds_parts(world, seen)
    return parts["main"] + parts["nonlinear"] + parts["latent"] + parts["pairs"]


def planted_pairs(world: World, seen: Impressions, effects: Effects = EFFECTS) -> dict[str, np.ndarray]:
    """Whether a row's pair of a segment and a campaign, and that of a site and a campaign, has an effect of its own.

    Returns: for "segment" and "site", [n] 1.0 where that pair raises the odds, -1.0 where it lowers them, else 0.0.
    """
    signs = {}
    for name, left in (("segment", seen.segment), ("site", seen.site)):
        uniform = world.noise.uniform(f"{name} x campaign", left, seen.campaign) / effects.pair_share
        signs[name] = (uniform < 0.6).astype(np.float64) - ((uniform >= 0.6) & (uniform < 1.0))
    return signs


def intercept(world: World, click_rate: float) -> float:
    """The intercept with which the mean probability of a pilot sample of four weeks is `click_rate`."""
    row = np.arange(PILOT_ROWS)
    seen = draw(world, PILOT_STREAM, row, PILOT_DAYS * (row + 0.5) / PILOT_ROWS)
    without = log_odds(world, seen)
    low, high = -30.0, 30.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if probability(without + middle).mean() > click_rate else (middle, high)
    return 0.5 * (low + high)


def _main(world: World, seen: Impressions, effects: Effects) -> np.ndarray:
    noise = world.noise
    swing = np.sin(2.0 * np.pi * (seen.day / world.drift_period[seen.campaign] + world.drift_phase[seen.campaign]))
    return (
        effects.site * world.site_effect[seen.site]
        + effects.category * noise.normal("category effect", np.arange(len(CATEGORIES)))[world.site_category[seen.site]]
        + effects.campaign * world.campaign_effect[seen.campaign]
        + effects.drift * 2.0**0.5 * swing
        + effects.ad * noise.normal("ad effect", seen.ad)
        + effects.segment * noise.normal("segment effect", np.arange(NUM_SEGMENTS))[seen.segment]
        + effects.device * noise.normal("device effect", np.arange(len(DEVICES)))[seen.device]
        + effects.system * noise.normal("system effect", np.arange(len(SYSTEMS)))[seen.system]
        + effects.user * noise.normal("user effect", seen.user)
        + effects.price * np.log(seen.bid_floor)
    )


def _nonlinear(seen: Impressions, effects: Effects) -> np.ndarray:
    """What no sum of single columns can say: position by device, hour by device, and an age whose ends click most."""
    slope = np.array([0.2, 1.0, 0.6, 0.0])[seen.device]
    hour = 24.0 * (seen.day % 1.0)
    daily = np.cos(2.0 * np.pi / 24.0 * (hour - DEVICE_PEAK_HOUR[seen.device]))
    age = np.minimum(((seen.age - 42.0) / 16.0) ** 2, 4.0)
    return (
        -effects.position * slope * (seen.position - (NUM_POSITIONS - 1) / 2.0)
        + effects.hour * 2.0**0.5 * daily
        + effects.age * age
    )


def _latent(world: World, seen: Impressions, effects: Effects) -> np.ndarray:
    """<who looks and where, the ad>: vectors of interests, segment, site and user against those of campaign and ad."""
    who = (
        effects.interest * world.profile_vector[:, seen.profile]
        + effects.segment_latent * world.segment_vector[:, seen.segment]
        + effects.site_latent * world.site_vector[:, seen.site]
        + effects.user_latent * world.noise.vectors("user vector", RANK, seen.user)
    )
    what = world.campaign_vector[:, seen.campaign] + effects.ad_vector * world.noise.vectors("ad vector", RANK, seen.ad)
    total = np.zeros(len(seen.day))
    for who_part, what_part in zip(who, what, strict=True):
        total += who_part * what_part
    return total / RANK**0.5


def _pairs(world: World, seen: Impressions, effects: Effects) -> np.ndarray:
    """Specific pairs that a model can only learn by heart: segment with campaign, and site with campaign."""
    segment, site = planted_pairs(world, seen, effects).values()
    return effects.pair * (segment + site)
