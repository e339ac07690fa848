"""Simulated logs and catalogues as files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from clickwise.data.simulator.columns import ad_schema, log_schema
from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.traffic import catalogue, simulate
from clickwise.data.write import table_writer
from clickwise.errors import ConfigError
from clickwise.progress import Progress


def write_simulation(
    config: SimulatorConfig,
    path: str | Path,
    progress: Progress | None = None,
    *,
    catalogue_path: str | Path | None = None,
) -> None:
    """Write the log to a .parquet, .csv or .csv.gz file, and the ads of its first day to another: whole or not at all.

    In text, interests are joined by `|`; no interests and an age that is not known are empty cells.

    Raises:
        ConfigError: another suffix, or the same file for both.
        DataError: a file cannot be written, or the disk is full.
    """
    progress = progress or Progress()
    if catalogue_path is not None and Path(catalogue_path).absolute() == Path(path).absolute():
        raise ConfigError("catalogue", f"got {str(path)!r}, allowed is another file than that of the log")
    with ExitStack() as files:
        write = files.enter_context(table_writer(Path(path), log_schema(config.catalogue)))
        if catalogue_path is not None:
            write_ads = files.enter_context(table_writer(Path(catalogue_path), ad_schema(config.catalogue)))
            for ads in catalogue(config):
                write_ads(ads)
        progress.start("simulate", config.rows)
        for batch in simulate(config):
            write(batch)
            progress.advance(batch.num_rows)
        progress.finish()
