"""`clickwise inspect`"""

from __future__ import annotations

from clickwise.cli.options import BundleArgument, JsonOption, show


def inspect(bundle: BundleArgument, json: JsonOption = False) -> None:
    """Show what a bundle is: model, features, data, metrics, files."""
    from clickwise import pipeline

    show(pipeline.inspect(bundle), json)
