from __future__ import annotations

import pyarrow as pa
import pytest

from clickwise.errors import ConfigError
from clickwise.features import DateTimePart
from clickwise.features.transform import BadCells


def test_a_format_reads_avazus_hours() -> None:
    config = DateTimePart.Config(part="hour", format="%y%m%d%H")
    hour = DateTimePart.fit("f", config).finish()
    for column in (pa.array(["14102113", None]), pa.array([14102113, None])):
        assert hour.ids(DateTimePart.parse(config, column)).tolist() == [[15], [0]]
    with pytest.raises(BadCells):
        DateTimePart.parse(config, pa.array(["noon"]))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="part"):
        DateTimePart.Config(part="year")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="format"):
        DateTimePart.Config(part="hour", format="ISO")
