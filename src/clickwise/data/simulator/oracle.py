"""The truth of a whole world: how likely any request clicks on any ad, and the best ads of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickwise.data.simulator.ads import Ads
from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.impressions import Impressions
from clickwise.data.simulator.traffic import arriving
from clickwise.data.simulator.truth import intercept, log_odds
from clickwise.data.simulator.world import World
from clickwise.metrics import probability

BLOCK_ADS = 65_536
BLOCK_PAIRS = 131_072
"""Pairs of a request and an ad that are worked on at once: some 10 MB."""


class Oracle:
    """The exact probability of a click, for the requests of a config and any ads of its world.

    Requests are numbered as the rows of `requests(config)`; ads as in `ads_of_day`, or by `ad_numbers` of their names.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config, self.world = config, World(config)
        self.base = intercept(self.world, config.click_rate)

    def requests(self, number: np.ndarray) -> Impressions:
        """The requests of these numbers [Q], each from 0 to `config.rows` - 1."""
        return arriving(self.world, self.config, number)

    def probability(self, requests: Impressions, ad: np.ndarray) -> np.ndarray:
        """How likely each of Q requests clicks on each of its ads.  [Q, C]

        Args:
            requests: of `requests`.
            ad: numbers of ads, [Q, C]: those of each request, or [C]: the same for all.
        """
        found = np.empty((len(requests), ad.shape[-1]))
        step = max(1, BLOCK_PAIRS // max(1, ad.shape[-1]))
        for start in range(0, len(requests), step):
            part = slice(start, start + step)
            ads = Ads.of(self.world, ad[part] if ad.ndim == 2 else ad)
            found[part] = probability(self.base + log_odds(self.world, requests[part][:, None], ads))
        return found


@dataclass(frozen=True, slots=True)
class BestAds:
    """The k ads that each of Q requests clicks on most likely, the likeliest first; k is at most the number of ads.

    Args:
        ad: their numbers [Q, k].
        probability: that of a click [Q, k].
    """

    ad: np.ndarray
    probability: np.ndarray


class BestAdSearch:
    """Finds the best of many ads exactly: it works out the log-odds of every one.

    What does not depend on the request is worked out once and kept: about 100 bytes an ad in a catalogue.

    Args:
        oracle: the world.
        ad: numbers of the ads to search, distinct [C].
    """

    def __init__(self, oracle: Oracle, ad: np.ndarray) -> None:
        self._oracle, self._count = oracle, len(ad)
        ordered = ad[np.argsort(oracle.world.campaign_of(ad), kind="stable")]  # a campaign's work is done in one block
        blocks = np.split(ordered, range(BLOCK_ADS, len(ad), BLOCK_ADS))
        self._blocks = [Ads.of(oracle.world, block, grouped=True) for block in blocks]

    def search(self, requests: Impressions, k: int) -> BestAds:
        """The best ads of each of Q requests [Q]. Memory: some 10 MB, whatever Q and C are, and the result."""
        k = min(k, self._count)
        ad, odds = np.empty((len(requests), k), np.int64), np.empty((len(requests), k))
        step = max(1, BLOCK_PAIRS // BLOCK_ADS)
        for start in range(0, len(requests), step):
            part = slice(start, start + step)
            ad[part], odds[part] = self._best(requests[part][:, None], k)
        return BestAds(ad, probability(self._oracle.base + odds))

    def _best(self, requests: Impressions, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and log-odds of the best of all blocks for requests [Q, 1].  each [Q, k]"""
        count = len(requests)
        ad, odds = np.full((count, k), -1), np.full((count, k), -np.inf)
        least = np.full(count, -np.inf)
        for block in self._blocks:
            every = log_odds(self._oracle.world, requests, block)
            for q, better in enumerate(every > least[:, None]):
                new = np.flatnonzero(better)
                if len(new):
                    both = np.concatenate([odds[q], every[q, new]])
                    kept = np.argpartition(-both, k - 1)[:k]
                    ad[q], odds[q] = np.concatenate([ad[q], block.number[new]])[kept], both[kept]
                    least[q] = odds[q].min()
        order = np.argsort(-odds, axis=1, kind="stable")
        return np.take_along_axis(ad, order, 1), np.take_along_axis(odds, order, 1)
