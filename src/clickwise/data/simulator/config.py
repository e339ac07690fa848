"""What a simulation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from clickwise.config import require
from clickwise.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatorConfig:
    """Traffic to simulate, and the world it comes from.

    Args:
        rows: impressions, spread over the days.
        seed: the world. The same seed is the same world, whatever the rows, the days and the size of the chunks.
        days: length of the traffic, in days.
        start_day: the day of the world on which it begins; 1 is the day after 0, with fresh traffic and some new ads.
        start: date of day 0, such as 2026-01-01.
        num_users: users there are. Few are seen often: a million rows meet some 90 thousand.
        num_sites: sites that show ads.
        num_campaigns: campaigns that run, at most.
        num_ads: ads that run at any one time.
        click_rate: mean probability of a click, over all days of the world, without targeting.
        catalogue: the world is laid out for very many ads (see `catalogue_config`): they have a product, a format and a
            price tier, and advertisers have one vertical each and grow in number with campaigns.
        targeting: share of impressions whose ad is the likeliest to be clicked of eight that popularity proposes.
        chunk_rows: rows of a record batch; changes nothing else.
    """

    rows: int
    seed: int = 7
    days: float = 1.0
    start_day: int = 0
    start: str = "2026-01-01"
    num_users: int = 4_000_000
    num_sites: int = 400
    num_campaigns: int = 300
    num_ads: int = 4_000
    click_rate: float = 0.04
    catalogue: bool = False
    targeting: float = 0.0
    chunk_rows: int = 262_144

    def __post_init__(self) -> None:
        for key in ("rows", "num_users", "num_sites", "num_campaigns", "num_ads", "chunk_rows"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "a whole number of at least 1")
        require(0.0 < self.days <= 3650.0, "days", self.days, "a number above 0 and up to 3650")
        require(0 <= self.start_day <= 36_500, "start_day", self.start_day, "a whole number from 0 to 36500")
        require(0.001 <= self.click_rate <= 0.5, "click_rate", self.click_rate, "a number from 0.001 to 0.5")
        require(0.0 <= self.targeting < 1.0, "targeting", self.targeting, "a number of at least 0 and below 1")
        try:
            date.fromisoformat(self.start)
        except ValueError:
            raise ConfigError("start", f"got {self.start!r}, allowed is a date such as 2026-01-01") from None


ADS_A_CAMPAIGN = 50
FEW_CAMPAIGNS = 200


def catalogue_config(num_ads: int, *, rows: int, **others: Any) -> SimulatorConfig:
    """A world with a catalogue: `num_ads` ads run at any one time, `others` is as in `SimulatorConfig`.

    A campaign has `ADS_A_CAMPAIGN` ads on average, or fewer where there would be less than `FEW_CAMPAIGNS` campaigns.

    Raises:
        ConfigError: a value out of range.
    """
    require(num_ads >= 1, "num_ads", num_ads, "a whole number of at least 1")
    campaigns = max(-(-num_ads // ADS_A_CAMPAIGN), min(num_ads, FEW_CAMPAIGNS))
    return SimulatorConfig(rows=rows, num_ads=num_ads, num_campaigns=campaigns, catalogue=True, **others)
