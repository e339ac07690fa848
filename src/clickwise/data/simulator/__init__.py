"""A simulated ad exchange whose true click probabilities are known: a report can say how good a model could be.

`world.py` holds what exists (users, sites, campaigns, ads), `impressions.py` draws who sees what and when, `truth.py`
says how likely a click is, `traffic.py` makes the rows of the log and `write.py` the file. Every random number is a
hash of the seed, a purpose and an index (`noise.py`), so nothing depends on the order or the size of the pieces.
"""

from __future__ import annotations

from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.traffic import simulate
from clickwise.data.simulator.write import write_simulation

__all__ = ["SimulatorConfig", "simulate", "write_simulation"]
