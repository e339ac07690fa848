"""To look at what there is and what could be: `inspect`, `training_summary`, `first_rows`, `simulate`."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from clickwise.bundle.files import verify
from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.simulator import SimulatorConfig, catalogue_config, write_simulation
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.summaries import BundleSummary, TrainingSummary


def simulate(
    out: str | Path,
    *,
    rows: int = 1_000_000,
    seed: int = 7,
    day: int = 0,
    ads: int | None = None,
    catalogue: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a day of simulated ad traffic to a .parquet, .csv or .csv.gz file; returns its path.

    Args:
        out: the file.
        rows: impressions.
        seed: the world and its randomness.
        day: of that world: 0 is today, 1 tomorrow.
        ads: another world: one in which so many ads run at any one time, campaigns and advertisers grow with them, and
            each ad has a product, a format and a price tier too.
        catalogue: file for all ads that run on the day, with the ad columns of the log.
        progress: told of the rows as they are made.

    Raises:
        ConfigError: a size that is not positive, another suffix, or the same file twice.
        DataError: a file cannot be written.
    """
    told: dict[str, Any] = {"rows": rows, "seed": seed, "start_day": day}
    config = SimulatorConfig(**told) if ads is None else catalogue_config(ads, **told)
    write_simulation(config, Path(out), progress or default_progress(), catalogue_path=catalogue)
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
