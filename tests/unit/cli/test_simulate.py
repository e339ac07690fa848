"""`clickwise simulate` and `clickwise.simulate`: the flags reach the world."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clickwise as cw
from clickwise.cli import main
from clickwise.data.simulator import SimulatorConfig, catalogue, catalogue_config, simulate
from clickwise.progress import Progress

PLAIN, LARGE = SimulatorConfig(rows=500, seed=3, start_day=2), catalogue_config(700, rows=500, seed=3, start_day=2)


@pytest.mark.parametrize(("ads", "config"), [(None, PLAIN), (700, LARGE)], ids=["usual", "catalogue"])
def test_the_flags_and_the_function_write_the_same(
    ads: int | None,
    config: SimulatorConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["simulate", tmp_path / "log.parquet", "--rows", 500, "--seed", 3, "--day", 2]
    words += ["--catalogue", tmp_path / "ads.parquet", *(["--ads", ads] if ads else [])]
    monkeypatch.setattr(sys, "argv", ["clickwise", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert f"the day's ads to {tmp_path / 'ads.parquet'}" in capsys.readouterr().out
    told = {"rows": 500, "seed": 3, "day": 2, "ads": ads, "catalogue": tmp_path / "ads2.parquet"}
    assert cw.simulate(tmp_path / "log2.parquet", **told, progress=Progress()) == tmp_path / "log2.parquet"
    for name, batches in (("log", simulate(config)), ("ads", catalogue(config))):
        expected = pa.Table.from_batches(batches).combine_chunks()
        for suffix in ("", "2"):
            assert pq.read_table(tmp_path / f"{name}{suffix}.parquet").combine_chunks().equals(expected)
