"""Ads as the truth sees them: what of an ad bears on a click, worked out once for many requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickwise.data.simulator.world import NUM_CREATIVES, World


@dataclass(frozen=True, slots=True)
class Shared:
    """Something that ads have in common, such as a campaign.

    Args:
        value: that of each ad [..., C]; or, with `place`, the distinct ones [K].
        place: position in `value` of that of each ad [C].
    """

    value: np.ndarray
    place: np.ndarray | None = None

    def of_each(self, amount: np.ndarray) -> np.ndarray:
        """For amounts that go with `value` on the last axis, that of each ad.  [..., C]"""
        return amount if self.place is None else amount.take(self.place, axis=-1)


@dataclass(frozen=True, slots=True)
class Ads:
    """C ads.

    Args:
        number: the world's number of each [..., C]; leading axes, if any, are those of requests.
        campaign: number of its campaign.
        creative: code of its format and price tier; 0 where the world knows none.
        effect: what it has of its own, before `Effects` scales it  [..., C]
        vector: latent vector, its campaign's and its own  [rank, ..., C]
    """

    number: np.ndarray
    campaign: Shared
    creative: Shared
    effect: np.ndarray
    vector: np.ndarray

    @classmethod
    def of(cls, world: World, number: np.ndarray, *, grouped: bool = False) -> Ads:
        """The ads of these numbers [..., C].

        Args:
            grouped: work out what campaigns and creatives contribute once for each of them, not for each ad. Pays where
                many ads [C] meet every request. Changes no bit of the result.
        """
        campaign, creative = world.campaign_of(number), world.creative_of(number)
        own = world.noise.vectors("ad vector", world.rank, number)
        return cls(
            number=number,
            campaign=Shared(*np.unique(campaign, return_inverse=True)) if grouped else Shared(campaign),
            creative=Shared(np.arange(NUM_CREATIVES), creative) if grouped else Shared(creative),
            effect=world.noise.normal("ad effect", number),
            vector=world.campaign_vector[:, campaign] + world.effects.ad_vector * own,
        )


def ads_of_day(world: World, day: int) -> np.ndarray:
    """The numbers of all ads that run at some time of a day, rising.  [C], about a sixth more than at any one time"""
    slot = np.arange(world.num_ads)
    first, last = world.ad_at(slot, np.array([float(day)])), world.ad_at(slot, np.array([day + 1.0]))
    return np.sort(np.concatenate([first, last[last != first]]))  # two at most: none runs for less than two days
