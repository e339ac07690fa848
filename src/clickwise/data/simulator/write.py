"""Simulated logs as files."""

from __future__ import annotations

from pathlib import Path

from clickwise.data.simulator.config import SimulatorConfig
from clickwise.data.simulator.traffic import SCHEMA, simulate
from clickwise.data.write import table_writer
from clickwise.progress import Progress


def write_simulation(config: SimulatorConfig, path: str | Path, progress: Progress | None = None) -> None:
    """Write the log to a .parquet, .csv or .csv.gz file, whole or not at all.

    In text, interests are joined by `|`; no interests and an age that is not known are empty cells.

    Raises:
        ConfigError: another suffix.
        DataError: the file cannot be written, or the disk is full.
    """
    progress = progress or Progress()
    with table_writer(Path(path), SCHEMA) as write:
        progress.start("simulate", config.rows)
        for batch in simulate(config):
            write(batch)
            progress.advance(batch.num_rows)
        progress.finish()
