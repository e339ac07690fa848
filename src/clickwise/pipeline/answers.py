"""The last step of an export: what was written is asked, and refused unless ONNX Runtime answers as the model does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clickwise.bundle import Bundle
from clickwise.bundle.graph import LOGITS
from clickwise.data.frames import rows_to_batch
from clickwise.errors import BundleError, ClickwiseError, MissingExtraError
from clickwise.pipeline.golden import golden_requests
from clickwise.serving.engine import Engine
from clickwise.serving.engine.golden import Golden


def check_version(bundle: Bundle, folder: Path) -> None:
    """Ask a version its golden requests.

    Raises:
        BundleError: an answer is not that of the bundle it was made of, or there is none.
        MissingExtraError: ONNX Runtime is not installed.
    """
    _refuse(bundle, lambda: Engine.open(folder).problem())


def check_file(bundle: Bundle, file: Path) -> None:
    """Ask a file of the whole model the same, in a session as anybody opens one; raises what `check_version` does."""
    _refuse(bundle, lambda: _problem(bundle, file))


def _problem(bundle: Bundle, file: Path) -> str | None:
    try:
        import onnxruntime as ort
    except ImportError:
        raise MissingExtraError("export to ONNX", "export") from None
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    for number, (_, rows) in enumerate(golden_requests(bundle.pipeline), 1):
        encoded = bundle.pipeline.encode(rows_to_batch(rows, bundle.schema.columns()))._asdict()
        (logits,) = session.run([LOGITS], {each.name: encoded[each.name] for each in session.get_inputs()})
        found = Golden(b"", bundle.logits(rows)).problem(logits)
        if found is not None:
            return f"golden request {number}: {found}"
    return None


def _refuse(bundle: Bundle, ask: Callable[[], str | None]) -> None:
    try:
        problem = ask()
    except ClickwiseError:
        raise
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own kinds of exceptions have no public base
        problem = str(error).splitlines()[0]
    if problem is not None:
        raise BundleError(
            f"its {bundle.model_name}, written as ONNX, does not answer in ONNX Runtime as it does here: {problem}; "
            "nothing is kept of it; a model of your own may say the same in other operations"
        )
