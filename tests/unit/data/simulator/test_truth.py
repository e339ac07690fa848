"""The truth against a scalar reading of its formula, one request and one ad at a time, from the hashes up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clickwise.data.simulator import Oracle, SimulatorConfig, ads_of_day, catalogue_config
from clickwise.data.simulator.truth import planted_pairs

USUAL = SimulatorConfig(rows=40, seed=5, start_day=3, num_campaigns=40, num_ads=300)
CATALOGUE = catalogue_config(3_000, rows=40, seed=5, start_day=3)


class Scalars:
    """The world's numbers, one by one."""

    def __init__(self, oracle: Oracle) -> None:
        self.world = oracle.world
        self.rank, self.catalogue = (8, True) if oracle.config.catalogue else (3, False)

    def normal(self, purpose: str, *index: int) -> float:
        return float(self.world.noise.normal(purpose, *map(int, index))[0])

    def bits(self, purpose: str, *index: int) -> int:
        return int(self.world.noise.bits(purpose, *map(int, index))[0])

    def vector(self, purpose: str, index: int) -> list[float]:
        return [self.normal(f"{purpose}/{i}", index) for i in range(self.rank)]

    def campaign(self, campaign: int) -> tuple[float, list[float], int]:
        """Effect, latent vector, and what pairs are of."""
        own, vertical = self.vector("campaign vector", campaign), self.bits("campaign vertical", campaign) % 12
        effect = self.normal("campaign effect", campaign)
        if not self.catalogue:
            return (
                effect,
                [v + 0.35 * o for v, o in zip(self.vector("vertical vector", vertical), own, strict=True)],
                campaign,
            )
        advertiser = self.bits("campaign advertiser", campaign) % max(self.world.num_campaigns // 10, 50)
        vertical = self.bits("advertiser vertical", advertiser) % 12
        product = 8 * vertical + self.bits("campaign product", campaign) % 8
        parts = zip(self.vector("vertical vector", vertical), self.vector("product vector", product), own, strict=True)
        vector = [v + 0.6 * p + 0.35 * o for v, p, o in parts]
        return 0.8 * effect + 0.6 * self.normal("advertiser effect", advertiser), vector, product

    def pair(self, name: str, left: int, right: int) -> float:
        bits = self.bits(f"{name} x {'product' if self.catalogue else 'campaign'}", left, right)
        uniform = (bits >> 11) * 2.0**-53
        return 1.0 if uniform < 0.03 else -1.0 if uniform < 0.05 else 0.0

    def log_odds(self, seen, q: int, ad: int) -> float:
        day, user, site, segment, device = (
            getattr(seen, name)[q].item() for name in ("day", "user", "site", "segment", "device")
        )
        campaign = int(self.world.slot_campaign[ad % self.world.num_ads])
        effect, campaign_vector, product = self.campaign(campaign)
        category = self.bits("site category", site) % 12
        period = 5.0 + 35.0 * float(self.world.noise.uniform("drift period", campaign)[0])
        phase = float(self.world.noise.uniform("drift phase", campaign)[0])
        strength = {"ad": 0.10, "pair": 0.8} if self.catalogue else {"ad": 0.20, "pair": 1.3}
        total = 0.30 * self.normal("site effect", site) + 0.12 * self.normal("category effect", category)
        total += 0.33 * effect + 0.20 * math.sqrt(2.0) * math.sin(2.0 * math.pi * (day / period + phase))
        total += strength["ad"] * self.normal("ad effect", ad) + 0.20 * self.normal("segment effect", segment)
        total += 0.15 * self.normal("device effect", device) + 0.10 * self.normal("system effect", seen.system[q])
        total += 0.12 * self.normal("user effect", user) - 0.15 * math.log(seen.bid_floor[q])
        total -= 0.30 * (0.2, 1.0, 0.6, 0.0)[device] * (seen.position[q] - 2.0)
        peak = (21.0, 11.0, 19.0, 22.0)[device]
        total += 0.20 * math.sqrt(2.0) * math.cos(2.0 * math.pi * (24.0 * (day % 1.0) - peak) / 24.0)
        total += 0.30 * min(((seen.age[q] - 42.0) / 16.0) ** 2, 4.0)
        interests = [self.vector("interest vector", i) for i in self.world.profiles[seen.profile[q]]]
        ad_vector, segment_vector = self.vector("ad vector", ad), self.vector("segment vector", segment)
        site_vector, site_own = self.vector("category vector", category), self.vector("site vector", site)
        user_vector = self.vector("user vector", user)
        for i in range(self.rank):
            who = 0.85 * (sum(v[i] for v in interests) / len(interests) if interests else 0.0)
            who += 0.45 * segment_vector[i] + 0.40 * (site_vector[i] + 0.35 * site_own[i]) + 0.08 * user_vector[i]
            total += who * (campaign_vector[i] + 0.10 * ad_vector[i]) / math.sqrt(self.rank)
        total += strength["pair"] * (self.pair("segment", segment, product) + self.pair("site", site, product))
        if self.catalogue:
            form, tier = divmod(self.bits("ad creative", ad) % 30, 5)
            total += 0.15 * self.normal("format effect", form) + 0.25 * self.normal("format x device", form, device)
            total += 0.25 * self.normal("price tier x segment", tier, segment)
        return total


@pytest.mark.parametrize("config", [USUAL, CATALOGUE], ids=["usual", "catalogue"])
def test_any_request_and_any_ad_follow_the_formula(config):
    oracle = Oracle(config)
    scalars, seen = Scalars(oracle), oracle.requests(np.arange(12))
    ads = ads_of_day(oracle.world, config.start_day)[:: len(ads_of_day(oracle.world, config.start_day)) // 20]
    found = oracle.probability(seen, ads)
    for q in range(12):
        for c, ad in enumerate(ads):
            expected = 1.0 / (1.0 + math.exp(-oracle.base - scalars.log_odds(seen, q, int(ad))))
            assert found[q, c] == pytest.approx(expected, rel=1e-9)


def test_planted_pairs_of_a_catalogue_are_those_of_products():
    oracle = Oracle(CATALOGUE)
    world, seen = oracle.world, oracle.requests(np.arange(40))
    campaigns = np.arange(world.num_campaigns)
    signs = planted_pairs(world, seen[:, None], campaigns)
    for sign in signs.values():
        assert sign.shape == (40, len(campaigns))
        assert np.abs(sign).mean() == pytest.approx(0.05, abs=0.02)
        of_product = {int(p): sign[:, world.campaign_product == p] for p in np.unique(world.campaign_product)}
        assert all((columns == columns[:, :1]).all() for columns in of_product.values())
