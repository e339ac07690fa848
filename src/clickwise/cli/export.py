"""`clickwise export`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import BundleArgument, JsonOption, ModelFileOption, SetOption, show


def export(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option(help="Folder of the version to write; with --format onnx the file.")],
    format: Annotated[
        str, typer.Option(help="serving: a version for `clickwise serve`; onnx: one graph for plain ONNX Runtime.")
    ] = "serving",
    bf16: Annotated[
        Path | None,
        typer.Option(help="Labelled rows: where linear layers in bf16 rank them as well, servers may use bf16."),
    ] = None,
    model: ModelFileOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Write a bundle in a form that needs no torch."""
    with importing():
        from clickwise import pipeline

    show(pipeline.export(bundle, out, format=format, model=model, bf16_data=bf16, settings=set or []), json)
