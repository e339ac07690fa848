"""What `suggest-crosses` reports."""

from __future__ import annotations

import tomllib

from clickwise.evaluation import CrossGain
from clickwise.features import Cross
from clickwise.features.schema_data import schema_from_data
from clickwise.summaries import CrossesSummary

GAINS = [
    CrossGain(("user", 'odd "name"'), 120, 0.5, 0.01, 0.001),
    CrossGain(("user", "site"), 12, 0.25, 0.002, 0.0005),
    CrossGain(("site", "hour"), 9, 0.25, 0.001, 0.0005),
    CrossGain(("user", "hour"), 0, 0.0, 0.0, 0.0),
]
NAMES = ["user", 'odd "name"', "site", "hour", "user_x_site"]


def test_only_what_is_no_chance_is_proposed_and_its_lines_are_a_schema() -> None:
    summary = CrossesSummary("log.csv", 0.3, GAINS, NAMES, 10)
    assert summary.worthwhile == GAINS[:2]  # z of 10 and 4; 2 is not enough for one of four pairs
    features = tomllib.loads(summary.toml())["schema"]["features"]
    base = {name: {"transform": "hashing", "num_buckets": 9} for name in NAMES}
    schema = schema_from_data({"label": "y", "features": base | features})
    crosses = {f.name: f.config for f in schema.crosses}
    assert crosses == {
        'user_x_odd "name"': Cross.Config(of=("user", 'odd "name"')),
        "user_x_site_": Cross.Config(of=("user", "site")),
    }
    assert summary.toml() in str(summary) + "\n"
    assert "2 of these 4 (of 4 pairs measured) lower it by more than chance does" in str(summary)


def test_the_top_is_what_is_shown_and_nothing_to_add_is_said() -> None:
    summary = CrossesSummary("log.csv", 0.3, GAINS, NAMES, 1)
    assert summary.worthwhile == GAINS[:1]
    assert "site x hour" not in str(summary)
    data = summary.to_data()
    assert (data["pairs_measured"], len(data["crosses"])) == (4, 1)
    nothing = CrossesSummary("log.csv", 0.3, GAINS[3:], NAMES, 5)
    assert nothing.toml() == ""
    assert str(nothing).endswith(
        "0 of these 1 (of 1 pairs measured) lower it by more than chance does, at 5 % for all pairs together"
    )
