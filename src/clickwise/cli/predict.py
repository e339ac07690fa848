"""`clickwise predict`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import (
    BundleArgument,
    DataArgument,
    FormatOption,
    JsonOption,
    ModelFileOption,
    SetOption,
    settings,
    show,
)
from clickwise.progress_bar import ProgressBar


def predict(
    bundle: BundleArgument,
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv or .csv.gz.")],
    model: ModelFileOption = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Score raw rows: writes them with a column `probability`."""
    with importing():
        from clickwise import pipeline

    told = settings(format, set)
    show(pipeline.predict(bundle, data, out, model=model, settings=told, progress=ProgressBar()), json)
