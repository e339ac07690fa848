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
    from clickwise.models import (
        DCN,
        DIN,
        DLRM,
        DNN,
        FFM,
        FM,
        FNN,
        LR,
        NFM,
        PNN,
        AutoInt,
        DCNv2,
        DeepFM,
        FiBiNET,
        FinalMLP,
        MaskNet,
        TwoTower,
        WideDeep,
        XDeepFM,
    )
    from clickwise.pipeline import (
        build_recommender,
        evaluate,
        evaluate_recommender,
        evaluate_retrieval,
        export,
        inspect,
        load,
        load_recommender,
        predict,
        recommend,
        simulate,
        suggest_crosses,
        train,
        update_items,
    )
    from clickwise.schema import Feature, Schema
    from clickwise.tuning import tune

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

_NAMES = {
    "bundle": ("Bundle",),
    "errors": ("ClickwiseError", "ClickwiseWarning"),
    "evaluation": ("EvaluationReport",),
    "models": (
        "AutoInt",
        "DCN",
        "DCNv2",
        "DIN",
        "DLRM",
        "DNN",
        "DeepFM",
        "FFM",
        "FM",
        "FNN",
        "FiBiNET",
        "FinalMLP",
        "LR",
        "MaskNet",
        "NFM",
        "PNN",
        "TwoTower",
        "WideDeep",
        "XDeepFM",
    ),
    "pipeline": (
        "build_recommender",
        "evaluate",
        "evaluate_recommender",
        "evaluate_retrieval",
        "export",
        "inspect",
        "load",
        "load_recommender",
        "predict",
        "recommend",
        "simulate",
        "suggest_crosses",
        "train",
        "update_items",
    ),
    "schema": ("Feature", "Schema"),
    "tuning": ("tune",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "DCN",
    "DIN",
    "DLRM",
    "DNN",
    "FFM",
    "FM",
    "FNN",
    "LR",
    "NFM",
    "PNN",
    "AutoInt",
    "Bundle",
    "ClickwiseError",
    "ClickwiseWarning",
    "DCNv2",
    "DeepFM",
    "EvaluationReport",
    "Feature",
    "FiBiNET",
    "FinalMLP",
    "MaskNet",
    "Schema",
    "TwoTower",
    "WideDeep",
    "XDeepFM",
    "__version__",
    "build_recommender",
    "evaluate",
    "evaluate_recommender",
    "evaluate_retrieval",
    "export",
    "inspect",
    "load",
    "load_recommender",
    "predict",
    "recommend",
    "simulate",
    "suggest_crosses",
    "train",
    "tune",
    "update_items",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'clickwise' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"clickwise.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
