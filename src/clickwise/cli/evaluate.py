"""`clickwise evaluate`"""

from __future__ import annotations

from clickwise.cli.options import BundleArgument, DataArgument, FormatOption, JsonOption, SetOption, settings, show
from clickwise.progress_bar import ProgressBar


def evaluate(
    bundle: BundleArgument,
    data: DataArgument,
    format: FormatOption = None,
    set: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a saved model on labelled data: AUC, log loss, normalized entropy, calibration."""
    from clickwise import pipeline

    show(pipeline.evaluate(bundle, data, settings=settings(format, set), progress=ProgressBar()), json)
