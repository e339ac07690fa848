"""Arguments and flags that several verbs share, and how a report reaches the screen."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from clickwise.config import build, set_path
from clickwise.errors import ConfigError

if TYPE_CHECKING:
    from clickwise.data.config import DataConfig

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


def data_config(format: str | None, assignments: list[str] | None) -> DataConfig:
    """`--format` and `--set` of a verb that reads data alone, and needs no torch.

    Raises:
        ConfigError: a setting of something else than [data], or a value that is not allowed.
    """
    from clickwise.data.config import DataConfig

    told: dict[str, Any] = {}
    for setting in settings(format, assignments):
        set_path(told, setting)
    other = next((key for key in told if key != "data"), None)
    if other is not None:
        raise ConfigError("--set", f"got {other}, allowed here are keys of [data], such as data.format=csv")
    return build(DataConfig, told.get("data", {}), "data")
