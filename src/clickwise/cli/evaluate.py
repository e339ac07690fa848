"""`clickwise evaluate`"""

from __future__ import annotations

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


def evaluate(
    bundle: BundleArgument,
    data: DataArgument,
    model: ModelFileOption = None,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a saved model on labelled data: AUC, log loss, normalized entropy, calibration."""
    from clickwise import pipeline

    told = settings(format, set)
    show(pipeline.evaluate(bundle, data, model=model, settings=told, progress=ProgressBar()), json)
