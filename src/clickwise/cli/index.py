"""`clickwise index`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import FormatOption, JsonOption, SetOption, settings, show
from clickwise.progress_bar import ProgressBar


def index(
    towers: Annotated[Path, typer.Argument(help="Bundle of a two_tower.")],
    items: Annotated[str, typer.Argument(help="The catalogue, a row an item; or a log.")],
    out: Annotated[Path, typer.Option(help="Folder of the recommender to write.")] = Path("runs/recommender"),
    ranker: Annotated[Path | None, typer.Option(help="Bundle of a model that ranks what is retrieved.")] = None,
    queries: Annotated[str | None, typer.Option(help="A log whose requests tune the index to its recall.")] = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Make vectors of all items and an index of them: with the towers, and perhaps a ranker, one recommender."""
    with importing():
        from clickwise import pipeline

    told = settings(format, set)
    pipeline.build_recommender(
        towers, items, out, ranker=ranker, queries=queries, settings=told, progress=ProgressBar()
    )
    show(pipeline.index_summary(out), json)
