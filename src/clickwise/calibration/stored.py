"""The calibrator that a manifest speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clickwise.calibration.platt import Platt
from clickwise.config import build
from clickwise.errors import BundleError, ConfigError, clipped


def stored_calibrator(folder: Path, entry: Any) -> Platt | None:
    """What the `calibrator` of the manifest of `folder` says; None where there is none.

    Raises:
        BundleError: it is of an unknown kind, or makes no sense.
    """
    if entry is None:
        return None
    if not isinstance(entry, Mapping) or entry.get("method") != "platt":
        raise BundleError(f"{folder}: its calibrator is {clipped(entry)}, which this version does not know")
    try:
        return build(Platt, {key: value for key, value in entry.items() if key != "method"}, "calibrator")
    except ConfigError as error:
        raise BundleError(f"{folder}: {error}") from None
