"""To look at what there is and what could be: `inspect`, `training_summary`, `first_rows`, `simulate`."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from clickwise.bundle.files import verify
from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.simulator import SimulatorConfig, write_simulation
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.summaries import BundleSummary, TrainingSummary


def simulate(
    out: str | Path, *, rows: int = 1_000_000, seed: int = 7, day: int = 0, progress: Progress | None = None
) -> Path:
    """Write a day of simulated ad traffic to a .parquet, .csv or .csv.gz file; returns its path.

    Raises:
        ConfigError: a size that is not positive, or another suffix.
        DataError: the file cannot be written.
    """
    write_simulation(SimulatorConfig(rows=rows, seed=seed, start_day=day), Path(out), progress or default_progress())
    return Path(out)


def inspect(folder: str | Path) -> BundleSummary:
    """What a saved bundle is: model, features, data, metrics, files. Every checksum is checked, also of the weights.

    Raises:
        BundleError: not a bundle, damaged, or of another format version.
    """
    return BundleSummary(Path(folder), verify(Path(folder)))


def training_summary(folder: str | Path) -> TrainingSummary:
    """What the run that saved a bundle did.

    Raises:
        BundleError: not a bundle, damaged, or of another format version.
    """
    return TrainingSummary(verify(Path(folder), weights=False), Path(folder))


def first_rows(data: Any, count: int) -> list[dict[str, Any]]:
    """The first rows of any data, as dicts.

    Raises:
        DataError: data that is missing or cannot be read.
    """
    with closing(open_source(data, DataConfig(batch_rows=count)).blocks()) as stream:
        return list(islice((row for block in stream for row in block.data.to_pylist()), count))
