"""`clickwise rollback`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def rollback(
    store: Annotated[Path, typer.Argument(help="Folder of the store.")],
    to: Annotated[int | None, typer.Option(help="Number of the version; without it, one step back.")] = None,
) -> None:
    """End a share and a shadow; without them, let the version before answer all requests again. Servers notice."""
    from clickwise.serving.store import Store

    made = Store(store)
    before = made.traffic()
    traffic = made.roll_back() if to is None else made.lead(to)
    if before is not None and before.second not in (None, traffic.live):
        typer.echo(f"{store}: version {before.second} no longer answers {before.share:.1%} of the requests")
    if before is not None and before.shadow not in (None, traffic.live):
        typer.echo(f"{store}: version {before.shadow} no longer scores in the shadow")
    stays = " and stays so" if before is not None and before.live == traffic.live else ""
    typer.echo(f"{store}: version {traffic.live} is live{stays}")
