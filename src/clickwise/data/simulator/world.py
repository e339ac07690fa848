"""What exists in a simulated ad exchange: users, sites, campaigns and ads, each a function of the seed."""

from __future__ import annotations

import numpy as np

from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.noise import Noise, zipf

CATEGORIES = (
    *("news", "sports", "finance", "tech", "games", "travel"),
    *("food", "fashion", "health", "music", "auto", "family"),
)
VERTICALS = (
    *("apparel", "banking", "cars", "cosmetics", "electronics", "energy"),
    *("groceries", "hotels", "insurance", "streaming", "telecom", "toys"),
)
INTERESTS = (
    *("autos", "beauty", "books", "camping", "cats", "cooking", "cycling", "dogs"),
    *("esports", "fitness", "football", "gadgets", "gardening", "hiking", "history", "jazz"),
    *("movies", "parenting", "photography", "sailing", "science", "skiing", "tennis", "wine"),
)
DEVICES = ("mobile", "desktop", "tablet", "tv")
SYSTEMS = ("android", "ios", "windows", "macos", "linux", "tizen")
NUM_SEGMENTS = 30
NUM_ADVERTISERS = 120
NUM_POSITIONS = 5
RANK = 3
"""Dimension of the latent vectors."""
OWN_PART = 0.35
"""How far a site's vector is from that of its category, and a campaign's from that of its vertical."""
AGE_MISSING = 0.15
"""Share of users whose age is not in the log."""

DEVICE_SHARES = (0.55, 0.33, 0.08, 0.04)
SYSTEM_SHARES = (  # by device, in the order of SYSTEMS
    (0.62, 0.38, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.68, 0.26, 0.06, 0.0),
    (0.45, 0.55, 0.0, 0.0, 0.0, 0.0),
    (0.4, 0.0, 0.0, 0.0, 0.0, 0.6),
)
POSITION_SHARES = (0.34, 0.25, 0.18, 0.13, 0.10)
INTEREST_COUNT_SHARES = (0.10, 0.25, 0.25, 0.20, 0.12, 0.08)

USER_ZIPF = (2_000.0, 1.9)
"""Offset and exponent of the popularity of users, sites, campaigns (over ads) and ads."""
SITE_ZIPF = (8.0, 1.1)
CAMPAIGN_ZIPF = (20.0, 1.2)
AD_ZIPF = (40.0, 1.15)
AD_LIFE_DAYS = (2.0, 40.0)
"""Shortest and longest time that an ad runs before another takes its place."""

_STRIDES = (1, 5, 7, 11, 13, 17, 19, 23)  # prime to the 24 interests, so that a profile never names one twice


class World:
    """The tables of sites, campaigns and interests, and the functions that give users and ads their attributes.

    Latent vectors are [RANK, n]; effects are in log-odds before `truth.EFFECTS` scales them.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.noise = noise = Noise(config.seed)
        self.num_users, self.num_sites, self.num_ads = config.num_users, config.num_sites, config.num_ads
        self.num_campaigns = config.num_campaigns
        sites, campaigns = np.arange(config.num_sites), np.arange(config.num_campaigns)
        self.site_category = noise.bits("site category", sites) % len(CATEGORIES)
        self.site_effect = noise.normal("site effect", sites)
        self.site_price = noise.normal("site price", sites)
        category_vector = noise.vectors("category vector", RANK, np.arange(len(CATEGORIES)))
        self.site_vector = category_vector[:, self.site_category] + OWN_PART * noise.vectors("site vector", RANK, sites)
        self.campaign_advertiser = noise.bits("campaign advertiser", campaigns) % NUM_ADVERTISERS
        self.campaign_effect = noise.normal("campaign effect", campaigns)
        self.campaign_vertical = noise.bits("campaign vertical", campaigns) % len(VERTICALS)
        vertical_vector = noise.vectors("vertical vector", RANK, np.arange(len(VERTICALS)))[:, self.campaign_vertical]
        self.campaign_vector = vertical_vector + OWN_PART * noise.vectors("campaign vector", RANK, campaigns)
        self.drift_period = 5.0 + 35.0 * noise.uniform("drift period", campaigns)
        self.drift_phase = noise.uniform("drift phase", campaigns)
        self.segment_vector = noise.vectors("segment vector", RANK, np.arange(NUM_SEGMENTS))
        self.profiles = _interest_profiles()
        interest_vector = noise.vectors("interest vector", RANK, np.arange(len(INTERESTS)))
        means = [interest_vector[:, list(p)].mean(1) if p else np.zeros(RANK) for p in self.profiles]
        self.profile_vector = np.stack(means, axis=1)
        slots = np.arange(config.num_ads)
        self.slot_campaign = zipf(noise.uniform("slot campaign", slots), config.num_campaigns, *CAMPAIGN_ZIPF)
        short, long = AD_LIFE_DAYS
        self.slot_life = short * (long / short) ** noise.uniform("slot life", slots)
        self.slot_phase = noise.uniform("slot phase", slots)

    def ad_at(self, slot: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The ad in each of `slot` [n] at the time `day` [n]: it runs for the life of the slot, then another does.

        Ads of the first generation are numbered 0 to num_ads - 1, those that take their places num_ads onwards.
        """
        generation = np.floor(day / self.slot_life[slot] + self.slot_phase[slot]).astype(np.int64)
        return slot + generation * self.num_ads

    def segment_of(self, user: np.ndarray) -> np.ndarray:
        """The marketing segment of each user.  [n] in [0, NUM_SEGMENTS)"""
        return (self.noise.bits("user segment", user) % np.uint64(NUM_SEGMENTS)).astype(np.int64)

    def age_of(self, user: np.ndarray) -> np.ndarray:
        """The age of each user in years, known to the log or not.  [n]"""
        return np.clip(np.rint(42.0 + 14.0 * self.noise.normal("user age", user)), 16.0, 90.0)

    def age_is_logged(self, user: np.ndarray) -> np.ndarray:
        """Whether the log knows the age of each user.  [n] bool"""
        return self.noise.uniform("user age logged", user) >= AGE_MISSING

    def profile_of(self, user: np.ndarray) -> np.ndarray:
        """The position in `profiles` of each user's interests.  [n]"""
        count = choose(self.noise.uniform("user interest count", user), INTEREST_COUNT_SHARES)
        kind = (self.noise.bits("user interests", user) % np.uint64(len(INTERESTS) * len(_STRIDES))).astype(np.int64)
        return np.where(count > 0, 1 + (count - 1) * len(INTERESTS) * len(_STRIDES) + kind, 0)

    def device_of(self, user: np.ndarray) -> np.ndarray:
        """The device that each user is most often on.  [n]"""
        return choose(self.noise.uniform("user device", user), DEVICE_SHARES)

    def system_of(self, user: np.ndarray, device: np.ndarray) -> np.ndarray:
        """The operating system of each user's device of that kind.  [n]"""
        uniform = self.noise.uniform("user system", user, device)
        system = np.zeros(len(user), np.int64)
        for kind, shares in enumerate(SYSTEM_SHARES):
            here = device == kind
            system[here] = choose(uniform[here], shares)
        return system


def choose(uniform: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """The index that each uniform number falls on when [0, 1) is cut into `shares`.  [n]"""
    return np.searchsorted(np.cumsum(shares)[:-1], uniform, side="right")


def _interest_profiles() -> list[tuple[int, ...]]:
    """Every list of interests a user can have: none, or 1 to 5 in steps of a stride around the circle of interests."""
    total = len(INTERESTS)
    counts = range(1, len(INTEREST_COUNT_SHARES))
    walks = [(n, stride, first) for n in counts for stride in _STRIDES for first in range(total)]
    return [(), *(tuple((first + step * stride) % total for step in range(n)) for n, stride, first in walks)]
