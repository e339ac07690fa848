"""The parity gate: a version whose linear layers multiply bf16 must rank data as it does in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clickwise.bundle import Bundle
from clickwise.data.labels import read_targets
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.data.source import Block
from clickwise.errors import BundleError, DataError
from clickwise.metrics import StreamingMetrics
from clickwise.pipeline.scoring import reading_config, scoring_source
from clickwise.progress import Progress
from clickwise.progress_bar import default_progress
from clickwise.serving.engine import Engine
from clickwise.serving.version import MOST_AUC, Reduced


def parity(bundle: Bundle, folder: Path, data: Any, settings: Sequence[str], progress: Progress | None) -> Reduced:
    """Score labelled data in both precisions.

    Args:
        bundle: that the version was made of.
        folder: the version.
        data: as for `evaluate`.
        settings: how to read it.

    Raises:
        BundleError: the AUC differs by more than `MOST_AUC`.
        DataError: as for `evaluate`.
    """
    progress = progress or default_progress()
    engine, schema = Engine.open(folder), bundle.schema
    config = reading_config(bundle, settings)
    columns = list(dict.fromkeys(name for name in (*schema.columns(), schema.label, schema.weight) if name))
    source = scoring_source(bundle, data, config, columns, progress)
    exact, reduced, largest = StreamingMetrics(["roc_auc"]), StreamingMetrics(["roc_auc"]), 0.0

    def read(block: Block) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:
        targets = read_targets(block.data, schema)
        rows = bundle.pipeline.encode(block.data)
        logits = (engine.logits(rows, precision="fp32"), engine.logits(rows, precision="bf16"))
        return targets.label, targets.weight if schema.weight else None, *logits

    with QuarantineFile(config.quarantine) as quarantine:
        sieve = Sieve(quarantine)
        for block in sieve.blocks(source, columns, "compare", progress):
            label, weight, fp32, bf16 = sieve.read(block, read)[2]
            exact.update(fp32, label, weight)
            reduced.update(bf16, label, weight)
            largest = max(largest, float(np.abs(fp32 - bf16).max(initial=0.0)))
        sieve.check(config.max_bad_fraction)
    if not 0 < exact.sums.positives < exact.sums.rows:
        raise DataError("has not both clicks and others, so ranking cannot be compared", file=source.name)
    auc, half = exact.compute()["roc_auc"], reduced.compute()["roc_auc"]
    if abs(auc - half) > MOST_AUC:
        raise BundleError(
            f"in bf16 its AUC on {source.name} is {half:.6f} and in fp32 {auc:.6f}, more than {MOST_AUC:g} apart; "
            "leave --bf16 out"
        )
    return Reduced(rows=exact.sums.rows, auc_fp32=auc, auc_bf16=half, largest=largest)
