"""`clickwise publish`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clickwise.config import require
from clickwise.errors import BundleError


def publish(
    path: Annotated[Path, typer.Argument(help="Version that `export` made, or bundle.")],
    store: Annotated[Path, typer.Argument(help="Folder of the store; the first version makes it.")],
    share: Annotated[float | None, typer.Option(help="Answer only this share of the requests, in (0, 1).")] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Score along and answer nothing.")] = False,
) -> None:
    """Check a version, copy it into a store, and let it answer: running servers notice."""
    from clickwise.cli.exported import exported
    from clickwise.serving.engine import Engine
    from clickwise.serving.store import Store

    made = Store(store)
    if share is not None:
        require(0.0 < share < 1.0 and not shadow, "--share", share, "a number in (0, 1), without --shadow")
    if (share is not None or shadow) and made.traffic() is None:
        raise BundleError(f"{store}: no version is live; publish one without --share and --shadow first")
    with exported(path) as folder:
        Engine.open(folder).check()
        number = made.add(folder)
    if share is not None:
        made.try_out(number, share)
        what = f"answers {share:.1%} of the requests"
    elif shadow:
        made.shadow(number)
        what = "scores in the shadow"
    else:
        made.lead(number)
        what = "is live"
    typer.echo(f"{store}: version {number} {what}")
