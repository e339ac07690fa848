"""`clickwise update-items`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import FormatOption, JsonOption, SetOption, settings, show
from clickwise.progress_bar import ProgressBar


def update_items(
    recommender: Annotated[Path, typer.Argument(help="Folder of a recommender.")],
    items: Annotated[str, typer.Argument(help="Items with all columns of the catalogue; to remove, ids are enough.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take these items out.")] = False,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Add, change or remove items of a recommender, without building its index again."""
    with importing():
        from clickwise import pipeline

    told = settings(format, set)
    pipeline.update_items(recommender, items, remove=remove, settings=told, progress=ProgressBar())
    show(pipeline.index_summary(recommender), json)
