"""`clickwise rollback`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def rollback(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    to: Annotated[int | None, typer.Option(help="Number of the version; without it, the one before.")] = None,
) -> None:
    """Let the version that was live before answer all requests again: running servers notice."""
    from clickwise.serving.store import Store

    made = Store(store)
    traffic = made.roll_back() if to is None else made.lead(to)
    typer.echo(f"{store}: version {traffic.live} is live")
