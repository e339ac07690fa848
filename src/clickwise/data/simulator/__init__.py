"""A simulated ad exchange whose true click probabilities are known: a report can say how good a model could be.

`world.py` holds what exists (users, sites, campaigns, ads) and `effects.py` how much it matters, `impressions.py` draws
who sees what and when, `targeting.py` may choose better ads, `ads.py` is what of an ad bears on a click, `truth.py`
says how likely one is, `columns.py` puts requests and ads into words, `traffic.py` makes the rows of the log, of its
requests and of the catalogue, `write.py` the files. `oracle.py` answers for any request and any ad. Every random number
is a hash of the seed, a purpose and an index (`noise.py`), so nothing depends on the order or the size of the pieces.
"""

from __future__ import annotations

from clickwise.data.simulator.ads import ads_of_day
from clickwise.data.simulator.columns import ad_numbers
from clickwise.data.simulator.config import SimulatorConfig, catalogue_config
from clickwise.data.simulator.impressions import popularity
from clickwise.data.simulator.oracle import BestAds, BestAdSearch, Oracle
from clickwise.data.simulator.traffic import catalogue, requests, simulate
from clickwise.data.simulator.write import write_simulation

__all__ = [
    "BestAdSearch",
    "BestAds",
    "Oracle",
    "SimulatorConfig",
    "ad_numbers",
    "ads_of_day",
    "catalogue",
    "catalogue_config",
    "popularity",
    "requests",
    "simulate",
    "write_simulation",
]
