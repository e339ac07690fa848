from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import DataError
from clickwise.features.timestamps import to_timestamps
from clickwise.features.transform import BadCells


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "format", "wanted"),
    [
        (pa.array([at(2020, 1, 2, 3), None]), None, [at(2020, 1, 2, 3), None]),
        (pa.array([1_600_000_000], pa.timestamp("s")), None, [at(2020, 9, 13, 12, 26, 40)]),
        (pa.array([1_600_000_000], pa.timestamp("s", "Asia/Tokyo")), None, [at(2020, 9, 13, 12, 26, 40)]),
        (pa.array([dt.date(2020, 1, 2)]), None, [at(2020, 1, 2)]),
        (
            pa.array(["2020-01-02", "2020-01-02 03:04", "", None]),
            None,
            [at(2020, 1, 2), at(2020, 1, 2, 3, 4), None, None],
        ),
        (pa.array(["2020-01-02T03:04:05.250"]), None, [at(2020, 1, 2, 3, 4, 5, 250_000)]),
        (pa.array(["2020-01-02T03:04:05Z", "2020-01-02"]), None, [at(2020, 1, 2, 3, 4, 5), at(2020, 1, 2)]),
        (pa.array(["2020-01-02T03:04:05+02:00"]), None, [at(2020, 1, 2, 1, 4, 5)]),
        (
            pa.array(["2020-01-02T03:04:05+02:00", "20200102T030405"]),
            None,
            [at(2020, 1, 2, 1, 4, 5), at(2020, 1, 2, 3, 4, 5)],
        ),
        (
            pa.array(["1600000000", "1600000000123"]),
            None,
            [at(2020, 9, 13, 12, 26, 40), at(2020, 9, 13, 12, 26, 40, 123_000)],
        ),
        (pa.array(["1600000000.5", "7"]), None, [at(2020, 9, 13, 12, 26, 40, 500_000), at(1970, 1, 1, 0, 0, 7)]),
        (pa.array([1_600_000_000, None]), None, [at(2020, 9, 13, 12, 26, 40), None]),
        (pa.array([1.6e12, float("nan")]), None, [at(2020, 9, 13, 12, 26, 40), None]),
        (pa.array([1_600_000_000_000_000, 1_600_000_000_000_000_000]), None, [at(2020, 9, 13, 12, 26, 40)] * 2),
        (pa.array(["14102113", None, "14102100"]), "%y%m%d%H", [at(2014, 10, 21, 13), None, at(2014, 10, 21)]),
        (pa.array([14_102_113]), "%y%m%d%H", [at(2014, 10, 21, 13)]),
        (pa.array([14_102_113.0, None]), "%y%m%d%H", [at(2014, 10, 21, 13), None]),
        (pa.array(["3 Oct 2014", "03 Oct 2014"]), "%d %b %Y", [at(2014, 10, 3)] * 2),
        (pa.array(["2014-10-03 1.25"]), "%Y-%m-%d %S.%f", [at(2014, 10, 3, 0, 0, 1, 250_000)]),
        (pa.array(["2014 +0200"]), "%Y %z", [at(2013, 12, 31, 22)]),
        (pa.array(["2020-01-02"]).dictionary_encode(), None, [at(2020, 1, 2)]),
        (pa.nulls(1), None, [None]),
        (pa.array([], pa.string()), None, []),
    ],
)
def test_times_of_every_kind(column: pa.Array, format: str | None, wanted: list[Any]) -> None:
    times = to_timestamps(column, format)
    assert times.type == pa.timestamp("us")
    assert times.to_pylist() == wanted


@pytest.mark.parametrize(
    ("values", "format", "bad"),
    [
        (["2020-01-02", "yesterday", None, "2020-02-30"], None, [1, 3]),
        (["14102100", "20141021"], None, [0, 1]),
        ([14_102_100, 5], None, [0]),
        (["14102100", "14139900", "x"], "%y%m%d%H", [1, 2]),
        (["03/01/2020", "03/01/2020 x"], "%d/%m/%Y", [1]),
        (["2014-01-02", "14-01-02"], "%Y-%m-%d", [1]),  # the C library takes the second for the year 14
    ],
)
def test_a_cell_that_is_no_time_is_a_bad_cell(values: list[Any], format: str | None, bad: list[int]) -> None:
    with pytest.raises(BadCells) as caught:
        to_timestamps(pa.array(values), format)
    assert [c.position for c in caught.value.cells] == bad
    assert [c.value for c in caught.value.cells] == [str(values[i]) for i in bad]
    assert "format" in caught.value.cells[0].problem


def test_other_types_are_refused() -> None:
    with pytest.raises(DataError, match="is not a time"):
        to_timestamps(pa.array([True]))


def test_many_formatted_times_agree_with_python() -> None:
    seconds = np.random.default_rng(0).integers(0, 2**31, 500)
    stamps = [dt.datetime.fromtimestamp(int(s), dt.UTC).replace(tzinfo=None) for s in seconds]
    for format in ("%d/%m/%Y %H:%M:%S", "%Y%m%d%H%M%S"):
        assert to_timestamps(pa.array([s.strftime(format) for s in stamps]), format).to_pylist() == stamps
