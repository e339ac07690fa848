"""The verbs of the command line, those of groups by both words."""

from __future__ import annotations

from typing import Any

import typer

from clickwise.cli import app


def verbs() -> dict[str, Any]:
    """Command by name, such as "train" and "features load"."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {verb}": each for verb, each in inner.items()}
    return found
