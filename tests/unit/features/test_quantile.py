from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from clickwise.errors import BundleError, ConfigError
from clickwise.features import Quantile
from clickwise.features.transform import State


def test_nothing_fitted_gives_zero_and_missing() -> None:
    config = Quantile.Config(missing=0.5)
    quantile = Quantile.fit("f", config).finish()
    assert quantile.numbers(pa.array([1.0, None], pa.float64())).tolist() == [0.0, 0.5]


def test_cuts_must_be_as_many_as_the_config_says() -> None:
    config = Quantile.Config(num_quantiles=3)
    Quantile.from_state("f", config, State({"cuts": [1.0, 2.0]}))
    for cuts in ([1.0], [2.0, 1.0], "12"):
        with pytest.raises(BundleError, match="cuts"):
            Quantile.from_state("f", config, State({"cuts": cuts}))


@pytest.mark.parametrize("settings", [{"num_quantiles": 1}, {"num_quantiles": 10**6}, {"missing": float("nan")}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Quantile.Config(**settings)
