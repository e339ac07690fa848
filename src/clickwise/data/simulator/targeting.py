"""The policy that chose the ads of a log: some impressions go to the likeliest of a few that popularity proposes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clickwise.data.simulator.ads import Ads
from clickwise.data.simulator.impressions import Impressions, popular_ads
from clickwise.data.simulator.truth import log_odds
from clickwise.data.simulator.world import World

CANDIDATES = 8


def targeted(world: World, stream: int, row: np.ndarray, seen: Impressions, share: float) -> Impressions:
    """The impressions of the rows numbered `row` [n] of `stream`, a `share` of them with the ad clicked most likely.

    That is the likeliest of `CANDIDATES` ads drawn by popularity, of which the one in `seen` is the first.
    """
    if share == 0.0:
        return seen
    chosen = np.flatnonzero(world.noise.uniform("targeted", stream, row) < share)
    table = seen[chosen][:, None]
    uniform = world.noise.uniform("candidate", stream, row[chosen, None], np.arange(1, CANDIDATES))
    proposed = np.concatenate([table.ad, popular_ads(world, uniform, table.day)], axis=1)
    best = log_odds(world, table, Ads.of(world, proposed)).argmax(axis=1)
    ad = seen.ad.copy()
    ad[chosen] = proposed[np.arange(len(chosen)), best]
    return replace(seen, ad=ad, campaign=world.campaign_of(ad))
