"""`clickwise simulate`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.progress_bar import ProgressBar


def simulate(
    out: Annotated[Path, typer.Argument(help="File to write: .parquet, .csv or .csv.gz.")],
    rows: Annotated[int, typer.Option(help="Impressions to simulate.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="The world and its randomness.")] = 7,
    day: Annotated[int, typer.Option(help="Day of that world: 0 is today, 1 tomorrow, ...")] = 0,
) -> None:
    """Simulate a day of ad traffic whose true click probabilities are known."""
    from clickwise.data.simulator import SimulatorConfig, write_simulation

    write_simulation(SimulatorConfig(rows=rows, seed=seed, start_day=day), out, ProgressBar())
    typer.echo(f"wrote {rows:,} impressions to {out}; next: clickwise train {out} --label click --out runs/today")
