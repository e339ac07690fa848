"""Calibrators: what a bundle does to the logits of its model so that they are right as probabilities."""

from __future__ import annotations

from clickwise.calibration.config import CalibrationConfig
from clickwise.calibration.platt import Platt
from clickwise.calibration.stored import stored_calibrator

__all__ = ["CalibrationConfig", "Platt", "stored_calibrator"]
