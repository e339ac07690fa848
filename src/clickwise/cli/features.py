"""`clickwise features load`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.options import DataArgument, FormatOption, JsonOption, SetOption, data_config, show
from clickwise.config import require
from clickwise.progress_bar import ProgressBar

EntitiesOption = Annotated[Path, typer.Option(help="TOML file with [[entities]]: name, key, columns, store.")]

features = typer.Typer(help="What the server looks up by id instead of being sent it.", no_args_is_help=True)


@features.command()
def load(
    data: DataArgument,
    entity: Annotated[str, typer.Option(help="Which entity of the TOML file the rows are of.")],
    version: Annotated[Path, typer.Option(help="Who is to find them: a store's live version, a version or a bundle.")],
    entities: EntitiesOption = Path("entities.toml"),
    to: Annotated[
        str | None, typer.Option(help="snapshot:FOLDER, lmdb:FOLDER or redis://HOST; the entity's own if left out.")
    ] = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Encode rows of an entity as a version does, and put them where servers look them up; the last of a key counts."""
    from clickwise.cli.exported import live_or_exported
    from clickwise.serving.features.entity import read_entities
    from clickwise.serving.features.load import load_features

    found = read_entities(entities).named(entity)
    place = to or found.store
    require(bool(place), "--to", "nothing", "snapshot:FOLDER, lmdb:FOLDER or redis://HOST; the entity has no store")
    config = data_config(format, set)
    with live_or_exported(version) as folder:
        show(load_features(data, found, folder, place, config, ProgressBar()), json)
