"""clickwise: click-through-rate prediction, from raw logs to a trained, measured, saved model.

    import clickwise as cw
    bundle = cw.train("clicks.parquet", label="click", model=cw.DeepFM.Config(embedding_dim=16), out="runs/today")
    print(cw.evaluate(bundle, "tomorrow.parquet"))
    probabilities = cw.load("runs/today").predict(rows)

Names are imported when they are first used, so that `import clickwise` is quick and needs no torch. Imported before
torch, it has torch's idle threads sleep soon (`GOMP_SPINCOUNT=2000`, unless that or `OMP_WAIT_POLICY` is set): by
default they spin for milliseconds after each operation, on the cores that the kernels work on.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from clickwise._version import __version__

if TYPE_CHECKING:
    from clickwise.bundle import Bundle
    from clickwise.errors import ClickwiseError, ClickwiseWarning
    from clickwise.evaluation import EvaluationReport
    from clickwise.models import DCN, DNN, FM, LR, DCNv2, DeepFM, WideDeep
    from clickwise.pipeline import evaluate, inspect, load, predict, simulate, train
    from clickwise.schema import Feature, Schema

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

_HOMES = {
    "Bundle": "bundle",
    "ClickwiseError": "errors",
    "ClickwiseWarning": "errors",
    "DCN": "models",
    "DCNv2": "models",
    "DNN": "models",
    "DeepFM": "models",
    "EvaluationReport": "evaluation",
    "FM": "models",
    "Feature": "schema",
    "LR": "models",
    "Schema": "schema",
    "WideDeep": "models",
    "evaluate": "pipeline",
    "inspect": "pipeline",
    "load": "pipeline",
    "predict": "pipeline",
    "simulate": "pipeline",
    "train": "pipeline",
}

__all__ = [
    "DCN",
    "DNN",
    "FM",
    "LR",
    "Bundle",
    "ClickwiseError",
    "ClickwiseWarning",
    "DCNv2",
    "DeepFM",
    "EvaluationReport",
    "Feature",
    "Schema",
    "WideDeep",
    "__version__",
    "evaluate",
    "inspect",
    "load",
    "predict",
    "simulate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'clickwise' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"clickwise.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
