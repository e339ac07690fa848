from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from clickwise.data.simulator import SimulatorConfig, catalogue, catalogue_config, simulate, write_simulation
from clickwise.data.simulator.columns import log_schema
from clickwise.errors import ConfigError, DataError
from clickwise.progress import Progress

CONFIG = SimulatorConfig(rows=3_000, chunk_rows=1_000)


@pytest.fixture
def expected() -> pa.Table:
    return pa.Table.from_batches(simulate(CONFIG)).combine_chunks()


def test_parquet_holds_the_log(tmp_path, expected):
    write_simulation(CONFIG, tmp_path / "log.parquet")
    assert pq.read_table(tmp_path / "log.parquet").combine_chunks().equals(expected)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "LOG.CSV"])
def test_text_holds_the_same_log(tmp_path, expected, name):
    write_simulation(CONFIG, tmp_path / name)
    types = {f.name: pa.string() if f.name == "interests" else f.type for f in log_schema(catalogue=False)}
    text = pacsv.read_csv(
        tmp_path / name, convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=False)
    )
    joined = pc.binary_join(expected["interests"].combine_chunks(), "|")
    place = expected.schema.get_field_index("interests")
    assert text.combine_chunks().equals(expected.set_column(place, "interests", joined))


def test_equal_simulations_are_equal_files(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_simulation(CONFIG, tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).count(b"\n") == 3_001


def test_another_suffix_is_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match=r"log\.json', allowed are names that end in \.parquet"):
        write_simulation(CONFIG, tmp_path / "log.json")
    assert not list(tmp_path.iterdir())


class Stops(Progress):
    """Ctrl-C after the first chunk."""

    def advance(self, rows, **figures):
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.csv.gz"])
def test_nothing_half_written_stays(tmp_path, name):
    (tmp_path / name).write_text("what was there before")
    with pytest.raises(KeyboardInterrupt):
        write_simulation(CONFIG, tmp_path / name, Stops())
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "what was there before"


@pytest.mark.parametrize("config", [CONFIG, catalogue_config(500, rows=2_000, start_day=3)], ids=["usual", "catalogue"])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_ads_of_the_day_are_a_file_beside_it(tmp_path, config, suffix):
    log, ads = tmp_path / f"log.{suffix}", tmp_path / f"ads.{suffix}"
    write_simulation(config, log, catalogue_path=ads)
    written = pq.read_table(ads) if suffix == "parquet" else pacsv.read_csv(ads)
    assert written.combine_chunks().equals(pa.Table.from_batches(catalogue(config)).combine_chunks())
    write_simulation(config, tmp_path / f"alone.{suffix}")
    assert log.read_bytes() == (tmp_path / f"alone.{suffix}").read_bytes()


def test_log_and_ads_appear_together_or_not_at_all(tmp_path):
    log, ads = tmp_path / "log.parquet", tmp_path / "ads.csv"
    with pytest.raises(KeyboardInterrupt):
        write_simulation(CONFIG, log, Stops(), catalogue_path=ads)
    with pytest.raises(ConfigError, match=r"ads\.json"):
        write_simulation(CONFIG, log, catalogue_path=tmp_path / "ads.json")
    with pytest.raises(ConfigError, match=r"^catalogue: got .*, allowed is another file than that of the log"):
        write_simulation(CONFIG, log, catalogue_path=log)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_simulation(CONFIG, tmp_path / "file" / "log.parquet")


def test_progress_counts_the_rows(tmp_path):
    class Told(Progress):
        rows = 0

        def start(self, stage, total_rows=None):
            assert (stage, total_rows) == ("simulate", 3_000)

        def advance(self, rows, **figures):
            self.rows += rows

    told = Told()
    write_simulation(CONFIG, tmp_path / "log.parquet", told)
    assert told.rows == 3_000
