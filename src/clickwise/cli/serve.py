"""`clickwise serve`"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clickwise.cli.options import SetOption
from clickwise.config import build, set_path
from clickwise.errors import BundleError
from clickwise.sealed import is_sealed

if TYPE_CHECKING:
    from clickwise.serving.features.entity import Entity
    from clickwise.serving.one_version import OneVersion
    from clickwise.serving.recommends import Recommends
    from clickwise.serving.store import Store

API_KEY = "CLICKWISE_API_KEY"


def serve(
    path: Annotated[Path, typer.Argument(help="Store that `publish` made, version that `export` made, or bundle.")],
    host: Annotated[str | None, typer.Option(help="Address to listen at; 0.0.0.0 is all of this machine's.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen at, 8080 if nothing else is said.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; one a core if nothing else is said.")] = None,
    recommender: Annotated[Path | None, typer.Option(help="Folder that `index` wrote, for /v1/recommend.")] = None,
    entities: Annotated[
        Path | None, typer.Option(help="TOML file of [[entities]] that requests may name instead of sending them.")
    ] = None,
    set: SetOption = None,
) -> None:
    """Answer requests over HTTP until SIGTERM or Ctrl-C."""
    from clickwise.serving.app.config import ServerConfig
    from clickwise.serving.app.run import run

    told: dict[str, Any] = {}
    for setting in set or []:
        set_path(told, setting)
    flags = {"host": host, "port": port, "workers": workers, "api_key": os.environ.get(API_KEY)}
    if entities is not None:
        told["entities"] = _entities(entities)
    config = build(ServerConfig, {**told, **{key: value for key, value in flags.items() if value is not None}})
    with _served(path) as store:
        where = f"http://{config.host}:{config.port}"
        says = f"{where}/ is a page to look at, {where}/docs says what else there is"
        told_then = f"serving {path} by {config.num_workers} workers: {says}"
        run(store, config, _opener(recommender), lambda: typer.echo(told_then, err=True))


@contextmanager
def _served(path: Path) -> Iterator[Store | OneVersion]:
    from clickwise.cli.exported import exported
    from clickwise.serving.one_version import OneVersion
    from clickwise.serving.store import Store

    if Store.is_at(path):
        yield Store(path)
        return
    with exported(path) as folder:
        yield OneVersion(folder)


def _entities(path: Path) -> tuple[Entity, ...]:
    """What the file says, its stores known to open here."""
    from clickwise.serving.features.entity import read_entities
    from clickwise.serving.features.opening import open_stores

    found = read_entities(path).entities
    with open_stores(found):
        return found


def _opener(recommender: Path | None) -> Callable[[], Recommends] | None:
    """Opens it in a worker: towers need torch, which nothing else here does."""
    if recommender is None:
        return None
    if not is_sealed(recommender):
        raise BundleError(f"{recommender}: is no recommender; `clickwise index TOWERS ITEMS` makes one")
    return partial(_open, recommender)


def _open(folder: Path) -> Recommends:
    from clickwise import pipeline

    return pipeline.open_lists(folder)
