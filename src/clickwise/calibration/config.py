"""`CalibrationConfig`: whether and how a trained model is calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clickwise.config import require


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationConfig:
    """How a trained model is calibrated.

    Args:
        method: "platt" fits `Platt` to the validation rows once training has ended; "none" leaves the logits alone.
    """

    method: Literal["none", "platt"] = "none"

    def __post_init__(self) -> None:
        require(self.method in ("none", "platt"), "calibration.method", self.method, "'none' or 'platt'")
