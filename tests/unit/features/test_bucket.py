from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import BundleError, ConfigError
from clickwise.features import Bucket
from clickwise.features.transform import State


def test_buckets_hold_about_as_many_rows_each() -> None:
    values = pa.array(np.random.default_rng(0).lognormal(size=10_000))
    fit = Bucket.fit("f", Bucket.Config(num_buckets=20))
    fit.update(values)
    bucket = fit.finish()
    counts = np.bincount(bucket.ids(values)[:, 0])
    assert counts.tolist() == [0, 0, *[500] * 20]


def test_no_numbers_give_one_bucket() -> None:
    bucket = Bucket.fit("f", Bucket.Config()).finish()
    assert bucket.ids(pa.array([1.0, None], pa.float64()))[:, 0].tolist() == [2, 0]
    assert bucket.field.num_ids == 3


def test_a_state_that_makes_no_sense_is_refused() -> None:
    for cuts in (None, [2.0, 1.0], list(range(20_000))):
        with pytest.raises(BundleError, match="cuts"):
            Bucket.from_state("f", Bucket.Config(), State({"cuts": cuts}))


@pytest.mark.parametrize(
    "settings",
    [{"num_buckets": 1}, {"boundaries": (2.0, 1.0)}, {"boundaries": (1.0, 1.0)}, {"boundaries": (float("nan"), 1.0)}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Bucket.Config(**settings)
