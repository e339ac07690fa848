"""`clickwise skew`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.options import DataArgument, FormatOption, JsonOption, SetOption, data_config, show
from clickwise.progress_bar import ProgressBar


def skew(
    log: Annotated[Path, typer.Argument(help="Folder that a server kept requests in (served_folder).")],
    version: Annotated[Path, typer.Argument(help="The version that served, its store, or its bundle.")],
    data: DataArgument,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Compare what a model was given when it served with what it is given on training data, feature by feature."""
    from clickwise.cli.exported import live_or_exported
    from clickwise.serving.served.skew import measure_skew

    config = data_config(format, set)
    with live_or_exported(version) as folder:
        show(measure_skew(log, folder, data, config, ProgressBar()), json)
