"""`clickwise inspect`"""

from __future__ import annotations

from clickwise.cli.importing import importing
from clickwise.cli.options import BundleArgument, JsonOption, show


def inspect(bundle: BundleArgument, json: JsonOption = False) -> None:
    """Check every byte of a bundle and show what it is: model, features, data, metrics, files."""
    with importing():
        from clickwise import pipeline

    show(pipeline.inspect(bundle), json)
