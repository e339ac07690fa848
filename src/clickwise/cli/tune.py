"""`clickwise tune`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import DataArgument, FormatOption, JsonOption, SetOption, settings, show
from clickwise.progress_bar import ProgressBar


def tune(
    config: Annotated[Path, typer.Argument(help="TOML file as for `train`, with a section [tune].")],
    data: DataArgument,
    label: Annotated[str | None, typer.Option(help="Column that says click or no click.")] = None,
    model: Annotated[str | None, typer.Option(help="As for `train`.")] = None,
    trials: Annotated[int, typer.Option(help="Runs in all, those of earlier calls included.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder of the journal and of best.toml.")] = Path("runs/tune"),
    valid: Annotated[str | None, typer.Option(help="Validation data; else the last tenth, by time if known.")] = None,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 1,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Search the keys in [tune] for the run that validates best. Needs: pip install 'clickwise[tune]'."""
    with importing():
        from clickwise import tuning

    summary = tuning.tune(
        config,
        data,
        trials=trials,
        out=out,
        label=label,
        model=model,
        valid=valid,
        seed=seed,
        settings=settings(format, set),
        progress=ProgressBar(),
    )
    show(summary, json)
    if summary.interrupted:
        raise typer.Exit(130)
