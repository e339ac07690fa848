"""`clickwise train`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import DataArgument, FormatOption, JsonOption, SetOption, settings, show
from clickwise.progress_bar import ProgressBar

_NAMES = (  # written out, so that --help needs no torch
    "deepfm (default), autoint, dcn, dcn_v2, din, dlrm, dnn, ffm, fibinet, final_mlp, fm, fnn, lr, masknet, nfm, pnn, "
    "two_tower, wide_deep, xdeepfm"
)


def train(
    data: DataArgument,
    label: Annotated[str | None, typer.Option(help="Column that says click or no click.")] = None,
    model: Annotated[str | None, typer.Option(help=f"{_NAMES}, or FILE:CLASS.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")] = Path("runs/latest"),
    valid: Annotated[str | None, typer.Option(help="Validation data; else the last tenth, by time if known.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file: [data] [schema] [model] [training].")] = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Train a model on raw click logs and save it as one bundle."""
    with importing():
        from clickwise import pipeline

    bundle = pipeline.train(
        data,
        label=label,
        model=model,
        out=out,
        valid=valid,
        config=config,
        settings=settings(format, set),
        progress=ProgressBar(),
    )
    show(pipeline.training_summary(out), json)
    if bundle.provenance.training["interrupted"]:
        raise typer.Exit(130)  # so that nothing which follows a training takes half of one for a whole
