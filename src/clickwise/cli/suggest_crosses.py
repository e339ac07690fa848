"""`clickwise suggest-crosses`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import DataArgument, FormatOption, JsonOption, SetOption, settings, show
from clickwise.progress_bar import ProgressBar


def suggest_crosses(
    data: DataArgument,
    label: Annotated[str | None, typer.Option(help="Column that says click or no click.")] = None,
    top: Annotated[int, typer.Option(help="Pairs to show.")] = 10,
    config: Annotated[Path | None, typer.Option(help="TOML file, as for train.")] = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Measure which pairs of features are worth crossing, on rows held out."""
    with importing():
        from clickwise import pipeline

    show(
        pipeline.suggest_crosses(
            data, label=label, top=top, config=config, settings=settings(format, set), progress=ProgressBar()
        ),
        json,
    )
