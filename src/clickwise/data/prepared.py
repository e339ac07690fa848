"""What preparing gives: a fitted pipeline, encoded parts and a summary; and how they lie in a folder.

summary.json        `PrepareSummary`
features/           the fitted pipeline
train.rows ...      the encoded rows of each part that has any
quarantine.jsonl    the rows that could not be read, if there were any
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from clickwise.config import build, to_data
from clickwise.data.dataset import EncodedPart
from clickwise.errors import DataError
from clickwise.features.pipeline import FeaturePipeline

FEATURES, QUARANTINE = "features", "quarantine.jsonl"
_SUMMARY = "summary.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class PartSummary:
    """Size of a part."""

    rows: int
    positives: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareSummary:
    """What preparing did.

    Args:
        rows_read: rows of all sources, unreadable ones included.
        parts: rows and positives of "train", "valid" and "test", those that have rows.
        split: how the rows were split, in words.
        quarantined: rows that could not be read.
        quarantine: the file they are in.
        fingerprint: hex digest of the training data; None for data without a lasting identity.
        seconds: wall time.
        cache_hit: an earlier encoding was found and reused.
        warnings: what a user should know.
    """

    rows_read: int
    parts: dict[str, PartSummary]
    split: str
    quarantined: int = 0
    quarantine: str | None = None
    fingerprint: str | None = None
    seconds: float = 0.0
    cache_hit: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fitted pipeline and the encoded rows, ready to train on. A part without rows is None."""

    pipeline: FeaturePipeline
    train: EncodedPart
    valid: EncodedPart | None
    test: EncodedPart | None
    summary: PrepareSummary

    @property
    def base_rate(self) -> float | None:
        """Share of clicks of the training rows; None where they have only clicks, or none."""
        train = self.summary.parts["train"]
        return train.positives / train.rows if 0 < train.positives < train.rows else None


def write_summary(folder: Path, summary: PrepareSummary) -> None:
    """Put the summary beside the parts."""
    (folder / _SUMMARY).write_text(json.dumps(to_data(summary), indent=1), encoding="utf-8")


def read_prepared(folder: Path, *, weighted: bool, keep: object = None) -> Prepared:
    """What lies in a folder.

    Args:
        weighted: whether the rows have weights of their own.
        keep: what must live as long as the parts.

    Raises:
        DataError, BundleError, ConfigError, OSError, ValueError: the folder is damaged.
    """
    summary = build(PrepareSummary, json.loads((folder / _SUMMARY).read_text(encoding="utf-8")))
    pipeline = FeaturePipeline.load(folder / FEATURES)
    parts: dict[str, EncodedPart] = {}
    for name, counts in summary.parts.items():
        part = EncodedPart(part_file(folder, name), pipeline.inputs, weighted=weighted, keep=keep)
        if len(part) != counts.rows:
            raise DataError("does not have the rows its summary counts", file=str(part_file(folder, name)))
        parts[name] = part
    return Prepared(pipeline, parts["train"], parts.get("valid"), parts.get("test"), summary)


def part_file(folder: Path, name: str) -> Path:
    """Where the rows of a part are."""
    return folder / f"{name}.rows"


def published_quarantine(wanted: str | None, folder: Path) -> str:
    """Where a user finds the unreadable rows: in the file they asked for, else in the folder.

    Raises:
        DataError: that file cannot be written.
    """
    kept = folder / QUARANTINE
    if wanted is None:
        return str(kept)
    try:
        Path(wanted).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, wanted)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", file=wanted, fix="check the path") from None
    return wanted


def with_summary(prepared: Prepared, **changes: object) -> Prepared:
    """The same, with parts of the summary changed."""
    summary = dataclasses.replace(prepared.summary, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(prepared, summary=summary)
