"""`clickwise evaluate`"""

from __future__ import annotations

from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.options import (
    BundleArgument,
    DataArgument,
    FormatOption,
    JsonOption,
    ModelFileOption,
    SetOption,
    settings,
    show,
)
from clickwise.progress_bar import ProgressBar

SeenOption = Annotated[
    str | None, typer.Option(help="Training log, of a model for retrieval: which items there are, and who has which.")
]
ItemsOption = Annotated[str | None, typer.Option(help="Catalogue: more items that a model for retrieval can find.")]


def evaluate(
    bundle: BundleArgument,
    data: DataArgument,
    seen: SeenOption = None,
    items: ItemsOption = None,
    model: ModelFileOption = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a saved model on labelled data: AUC, log loss, ...; or recall, NDCG, ... of towers or a recommender."""
    with importing():
        from clickwise import pipeline

    told, progress = settings(format, set), ProgressBar()
    if pipeline.is_recommender(bundle):
        show(pipeline.evaluate_recommender(bundle, data, seen=seen, settings=told, progress=progress), json)
        return
    loaded = pipeline.load(bundle, model=model)
    if loaded.for_retrieval or seen is not None or items is not None:
        show(pipeline.evaluate_retrieval(loaded, data, seen=seen, items=items, settings=told, progress=progress), json)
    else:
        show(pipeline.evaluate(loaded, data, settings=told, progress=progress), json)
