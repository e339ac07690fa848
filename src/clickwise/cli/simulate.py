"""`clickwise simulate`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from clickwise.progress_bar import ProgressBar


def simulate(
    out: Annotated[Path, typer.Argument(help="File to write: .parquet, .csv or .csv.gz.")],
    rows: Annotated[int, typer.Option(help="Impressions to simulate.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="The world and its randomness.")] = 7,
    day: Annotated[int, typer.Option(help="Day of that world: 0 is today, 1 tomorrow, ...")] = 0,
    ads: Annotated[
        int | None, typer.Option(help="Another world: one with so many ads at a time, and more said of each.")
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option(help="File for all ads of the day: .parquet, .csv or .csv.gz.")
    ] = None,
) -> None:
    """Simulate a day of ad traffic whose true click probabilities are known."""
    from clickwise.data.simulator import SimulatorConfig, catalogue_config, write_simulation

    told: dict[str, Any] = {"rows": rows, "seed": seed, "start_day": day}
    config = SimulatorConfig(**told) if ads is None else catalogue_config(ads, **told)
    write_simulation(config, out, ProgressBar(), catalogue_path=catalogue)
    also = f" and the day's ads to {catalogue}" if catalogue else ""
    typer.echo(f"wrote {rows:,} impressions to {out}{also}; next: clickwise train {out} --label click --out runs/today")
