"""What exists in a simulated ad exchange: users, sites, campaigns and ads, each a function of the seed."""

from __future__ import annotations

import numpy as np

from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.effects import CATALOGUE_EFFECTS, EFFECTS
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
FORMATS = ("banner", "native", "video", "carousel", "text", "rich")
PRICE_TIERS = ("budget", "value", "middle", "premium", "luxury")
NUM_CREATIVES = len(FORMATS) * len(PRICE_TIERS)
NUM_SEGMENTS = 30
NUM_ADVERTISERS = 120
CAMPAIGNS_AN_ADVERTISER = 10
FEW_ADVERTISERS = 50
"""In a catalogue advertisers grow in number with campaigns, from this number on."""
PRODUCTS_A_VERTICAL = 8
NUM_POSITIONS = 5
RANK = 3
"""Dimension of the latent vectors,"""
CATALOGUE_RANK = 8
"""and in a catalogue, where more ads need more ways to differ."""
OWN_PART = 0.35
"""How far a site's vector is from that of its category, and a campaign's from that of its vertical or product."""
PRODUCT_PART = 0.6
"""How far the vector of a product is from that of its vertical."""
ADVERTISER_PART = 0.6
"""How much of a campaign's effect is that of its advertiser, in a catalogue."""
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

    Latent vectors are [rank, n]; effects are in log-odds before `effects` scales them.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.noise = noise = Noise(config.seed)
        self.num_users, self.num_sites, self.num_ads = config.num_users, config.num_sites, config.num_ads
        self.num_campaigns, self.catalogue = config.num_campaigns, config.catalogue
        self.effects = CATALOGUE_EFFECTS if config.catalogue else EFFECTS
        self.rank = CATALOGUE_RANK if config.catalogue else RANK
        many = max(self.num_campaigns // CAMPAIGNS_AN_ADVERTISER, FEW_ADVERTISERS)
        self.num_advertisers = many if self.catalogue else NUM_ADVERTISERS
        self._make_sites(np.arange(config.num_sites))
        self._make_campaigns(np.arange(config.num_campaigns))
        self.segment_effect = noise.normal("segment effect", np.arange(NUM_SEGMENTS))
        self.device_effect = noise.normal("device effect", np.arange(len(DEVICES)))
        self.system_effect = noise.normal("system effect", np.arange(len(SYSTEMS)))
        self.segment_vector = noise.vectors("segment vector", self.rank, np.arange(NUM_SEGMENTS))
        self.profiles = _interest_profiles()
        interest_vector = noise.vectors("interest vector", self.rank, np.arange(len(INTERESTS)))
        means = [interest_vector[:, list(p)].mean(1) if p else np.zeros(self.rank) for p in self.profiles]
        self.profile_vector = np.stack(means, axis=1)
        slots = np.arange(config.num_ads)
        self.slot_campaign = zipf(noise.uniform("slot campaign", slots), config.num_campaigns, *CAMPAIGN_ZIPF)
        short, long = AD_LIFE_DAYS
        self.slot_life = short * (long / short) ** noise.uniform("slot life", slots)
        self.slot_phase = noise.uniform("slot phase", slots)
        formats, tiers = np.arange(len(FORMATS)), np.arange(len(PRICE_TIERS))
        self.format_effect = noise.normal("format effect", formats)
        self.format_device = noise.normal("format x device", formats[:, None], np.arange(len(DEVICES)))
        self.tier_segment = noise.normal("price tier x segment", tiers[:, None], np.arange(NUM_SEGMENTS))

    def _make_sites(self, sites: np.ndarray) -> None:
        noise = self.noise
        self.site_category = noise.bits("site category", sites) % len(CATEGORIES)
        self.category_effect = noise.normal("category effect", np.arange(len(CATEGORIES)))
        self.site_effect = noise.normal("site effect", sites)
        self.site_price = noise.normal("site price", sites)
        vector = noise.vectors("category vector", self.rank, np.arange(len(CATEGORIES)))
        self.site_vector = vector[:, self.site_category] + OWN_PART * noise.vectors("site vector", self.rank, sites)

    def _make_campaigns(self, campaigns: np.ndarray) -> None:
        """In a catalogue an advertiser sells in one vertical, and a campaign is for one of the vertical's products."""
        noise, verticals = self.noise, np.arange(len(VERTICALS))
        vector = noise.vectors("vertical vector", self.rank, verticals)
        own = noise.vectors("campaign vector", self.rank, campaigns)
        self.campaign_advertiser = (noise.bits("campaign advertiser", campaigns) % self.num_advertisers).astype(
            np.int64
        )
        self.campaign_effect = noise.normal("campaign effect", campaigns)
        if self.catalogue:
            products = np.arange(len(VERTICALS) * PRODUCTS_A_VERTICAL)
            vertical = noise.bits("advertiser vertical", self.campaign_advertiser) % len(VERTICALS)
            self.campaign_vertical = vertical.astype(np.int64)
            product = (noise.bits("campaign product", campaigns) % PRODUCTS_A_VERTICAL).astype(np.int64)
            self.campaign_product = PRODUCTS_A_VERTICAL * self.campaign_vertical + product
            shift = PRODUCT_PART * noise.vectors("product vector", self.rank, products)
            vector = vector.repeat(PRODUCTS_A_VERTICAL, axis=1) + shift
            self.campaign_vector = vector[:, self.campaign_product] + OWN_PART * own
            strength = noise.normal("advertiser effect", self.campaign_advertiser)
            self.campaign_effect *= (1.0 - ADVERTISER_PART**2) ** 0.5
            self.campaign_effect += ADVERTISER_PART * strength
        else:
            self.campaign_vertical = (noise.bits("campaign vertical", campaigns) % len(VERTICALS)).astype(np.int64)
            self.campaign_product = campaigns
            self.campaign_vector = vector[:, self.campaign_vertical] + OWN_PART * own
        self.drift_period = 5.0 + 35.0 * noise.uniform("drift period", campaigns)
        self.drift_phase = noise.uniform("drift phase", campaigns)

    def ad_at(self, slot: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The ad in each of `slot` [n] at the time `day` [n]: it runs for the life of the slot, then another does.

        Ads of the first generation are numbered 0 to num_ads - 1, those that take their places num_ads onwards.
        """
        generation = np.floor(day / self.slot_life[slot] + self.slot_phase[slot]).astype(np.int64)
        return slot + generation * self.num_ads

    def campaign_of(self, ad: np.ndarray) -> np.ndarray:
        """The campaign of each ad: that of its slot, whichever ad runs there.  [...]"""
        return self.slot_campaign[ad % self.num_ads]

    def creative_of(self, ad: np.ndarray) -> np.ndarray:
        """A code of each ad's format and price tier: format * len(PRICE_TIERS) + tier; 0 outside catalogues.  [...]"""
        if not self.catalogue:
            return np.zeros(ad.shape, np.int64)
        return (self.noise.bits("ad creative", ad) % np.uint64(NUM_CREATIVES)).astype(np.int64)

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
