"""Golden requests: what training code said of a few requests, stored beside the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clickwise.errors import BundleError

_TOLERANCE = 1e-4


class Golden(NamedTuple):
    """A request and the calibrated logits of its candidates [n]."""

    body: bytes
    logits: np.ndarray

    def problem(self, logits: np.ndarray) -> str | None:
        """What is wrong with logits that were found, beside those that are stored; None: nothing."""
        if logits.shape != self.logits.shape or not np.isfinite(logits).all():
            return "gives no finite logit for each of its candidates"
        worst = float(np.abs(logits - self.logits).max(initial=0.0))
        if worst > _TOLERANCE * max(1.0, float(np.abs(self.logits).max(initial=0.0))):
            return f"its logits are {worst:.2g} off those of training"
        return None


def read_golden(path: Path) -> list[Golden]:
    """The golden requests of a version.

    Raises:
        BundleError: the file is damaged.
    """
    try:
        entries = json.loads(path.read_bytes())
        return [Golden(_body(entry["request"]), np.array(entry["logits"], np.float32)) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from None


def golden_data(request: dict[str, Any], logits: np.ndarray) -> dict[str, Any]:
    """An entry of the file, JSON-ready."""
    return {"request": request, "logits": [float(z) for z in logits]}


def _body(request: Any) -> bytes:
    return json.dumps(request, ensure_ascii=False).encode()
