"""How likely a click is: the exact probability behind every simulated label.

The rows of a log and tables of requests by ads go through the same functions, as arrays that broadcast: rows are
impressions [n] with ads [n]; impressions [Q, 1] with ads [C] or [Q, C] give [Q, C], with the same bits.
"""

from __future__ import annotations

import numpy as np

from clickwise.data.simulator.ads import Ads
from clickwise.data.simulator.impressions import Impressions, draw
from clickwise.data.simulator.world import NUM_POSITIONS, PRICE_TIERS, World
from clickwise.metrics import probability

PILOT_STREAM = 2**40
"""The stream of the impressions that set the intercept; traffic uses the day it begins on."""
PILOT_ROWS = 65_536
PILOT_DAYS = 28.0
DEVICE_PEAK_HOUR = np.array([21.0, 11.0, 19.0, 22.0])


def log_odds_parts(world: World, seen: Impressions, ads: Ads | None = None) -> dict[str, np.ndarray]:
    """The parts whose sum, with the intercept, is the log-odds of a click.  each [n] or [Q, C]

    Args:
        world: where it all happens.
        seen: who looks, where and when.
        ads: what they look at; without it the ads that they were shown.
    """
    ads = Ads.of(world, seen.ad) if ads is None else ads
    parts = {
        "main": _main(world, seen, ads),
        "nonlinear": _nonlinear(world, seen),
        "latent": _latent(world, seen, ads),
        "pairs": _pairs(world, seen, ads),
    }
    return {**parts, "creative": _creative(world, seen, ads)} if world.catalogue else parts


def log_odds(world: World, seen: Impressions, ads: Ads | None = None) -> np.ndarray:
    """The log-odds of a click, without the intercept; arguments as in `log_odds_parts`.  [n] or [Q, C]"""
    main, *others = log_odds_parts(world, seen, ads).values()
    for part in others:
        main += part
    return main


def planted_pairs(world: World, seen: Impressions, campaign: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Whether a pair of a segment and a campaign, and that of a site and a campaign, has an effect of its own.

    In a catalogue, the pairs are those of a segment or a site and a product.

    Args:
        world: where it all happens.
        seen: who looks and where, [n] or [Q, 1].
        campaign: what for, broadcast with `seen`; without it the campaigns that they were shown.

    Returns: for "segment" and "site", 1.0 where that pair raises the odds, -1.0 where it lowers them, else 0.0.
    """
    product = world.campaign_product[seen.campaign if campaign is None else campaign]
    right, signs = "product" if world.catalogue else "campaign", {}
    for name, left in (("segment", seen.segment), ("site", seen.site)):
        uniform = world.noise.uniform(f"{name} x {right}", left, product) / world.effects.pair_share
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


def _main(world: World, seen: Impressions, ads: Ads) -> np.ndarray:
    effects, campaign = world.effects, ads.campaign.value
    swing = np.sin(2.0 * np.pi * (seen.day / world.drift_period[campaign] + world.drift_phase[campaign]))
    of_campaign = (
        effects.site * world.site_effect[seen.site]
        + effects.category * world.category_effect[world.site_category[seen.site]]
        + effects.campaign * world.campaign_effect[campaign]
        + effects.drift * 2.0**0.5 * swing
    )
    return (
        ads.campaign.of_each(of_campaign)
        + effects.ad * ads.effect
        + effects.segment * world.segment_effect[seen.segment]
        + effects.device * world.device_effect[seen.device]
        + effects.system * world.system_effect[seen.system]
        + effects.user * world.noise.normal("user effect", seen.user)
        + effects.price * np.log(seen.bid_floor)
    )


def _nonlinear(world: World, seen: Impressions) -> np.ndarray:
    """What no sum of single columns can say: position by device, hour by device, and an age whose ends click most."""
    effects = world.effects
    slope = np.array([0.2, 1.0, 0.6, 0.0])[seen.device]
    hour = 24.0 * (seen.day % 1.0)
    daily = np.cos(2.0 * np.pi / 24.0 * (hour - DEVICE_PEAK_HOUR[seen.device]))
    age = np.minimum(((seen.age - 42.0) / 16.0) ** 2, 4.0)
    return (
        -effects.position * slope * (seen.position - (NUM_POSITIONS - 1) / 2.0)
        + effects.hour * 2.0**0.5 * daily
        + effects.age * age
    )


def _latent(world: World, seen: Impressions, ads: Ads) -> np.ndarray:
    """<who looks and where, the ad>: vectors of interests, segment, site and user against those of campaign and ad."""
    effects = world.effects
    who = (
        effects.interest * world.profile_vector[:, seen.profile]
        + effects.segment_latent * world.segment_vector[:, seen.segment]
        + effects.site_latent * world.site_vector[:, seen.site]
        + effects.user_latent * world.noise.vectors("user vector", world.rank, seen.user)
    )
    total = who[0] * ads.vector[0]
    for who_part, what_part in zip(who[1:], ads.vector[1:], strict=True):
        total += who_part * what_part
    return total / world.rank**0.5


def _pairs(world: World, seen: Impressions, ads: Ads) -> np.ndarray:
    """Specific pairs that a model can only learn by heart: segment with campaign, and site with campaign."""
    segment, site = planted_pairs(world, seen, ads.campaign.value).values()
    return ads.campaign.of_each(world.effects.pair * (segment + site))


def _creative(world: World, seen: Impressions, ads: Ads) -> np.ndarray:
    """What the ad looks like and costs: its format alone and on the device, its price tier for the segment."""
    effects = world.effects
    form, tier = np.divmod(ads.creative.value, len(PRICE_TIERS))
    return ads.creative.of_each(
        effects.format * world.format_effect[form]
        + effects.format_device * world.format_device[form, seen.device]
        + effects.tier_segment * world.tier_segment[tier, seen.segment]
    )
