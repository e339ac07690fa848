"""`clickwise recommend`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import FormatOption, JsonOption, SetOption, settings, show
from clickwise.progress_bar import ProgressBar


def recommend(
    recommender: Annotated[Path, typer.Argument(help="Folder that `clickwise index` wrote.")],
    requests: Annotated[str, typer.Argument(help="Raw rows of users and contexts: file, glob, folder, ...")],
    out: Annotated[Path | None, typer.Option(help="File to write: .parquet, .csv or .csv.gz.")] = None,
    top: Annotated[int, typer.Option(help="Items of a list.")] = 10,
    seen: Annotated[str | None, typer.Option(help="A log whose items are not recommended to the same user.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Rule such as category=shoes; can be repeated.")] = None,
    explain: Annotated[str | None, typer.Option(help="An item's id: why it is where it is for the first row.")] = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Retrieve, filter and rank items for each request; without --out it shows the list of the first."""
    with importing():
        from clickwise import pipeline

    told, rules = settings(format, set), where or []
    if out is None or explain is not None:
        shown = pipeline.show_first(
            recommender, requests, k=top, seen=seen, where=rules, explain=explain, settings=told, progress=ProgressBar()
        )
        show(shown, json)
    if out is not None:
        summary = pipeline.recommend(
            recommender, requests, out, k=top, seen=seen, where=rules, settings=told, progress=ProgressBar()
        )
        show(summary, json)
