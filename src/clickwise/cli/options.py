"""Arguments and flags that several verbs share, and how a report reaches the screen."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

DataArgument = Annotated[str, typer.Argument(help="File, glob, folder, or 'duckdb:SELECT ...'.")]
BundleArgument = Annotated[Path, typer.Argument(help="Folder of a saved bundle.")]
ModelFileOption = Annotated[
    str | None, typer.Option(help="FILE:CLASS of the model, when the bundle was trained with a file of your own.")
]
FormatOption = Annotated[
    str | None, typer.Option(help="auto, parquet, csv, tsv, arrow, libsvm, libffm, criteo, avazu, kdd12, adult, ...")
]
SetOption = Annotated[list[str] | None, typer.Option(help="path=value for any key of the config; can be repeated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


class Report(Protocol):
    """What a verb prints: a table for people, data for machines."""

    def __str__(self) -> str: ...

    def to_data(self) -> dict[str, Any]:
        """JSON-ready, without NaN."""


def show(report: Report, json: bool) -> None:
    """Print a report on stdout."""
    text = json_module.dumps(report.to_data(), ensure_ascii=False, allow_nan=False) if json else str(report)
    typer.echo(text)


def settings(format: str | None, assignments: list[str] | None) -> list[str]:
    """`--format` and `--set` as one list of settings."""
    return [*([f'data.format="{format}"'] if format else []), *(assignments or [])]
