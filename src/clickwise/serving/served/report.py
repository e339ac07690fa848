"""`SkewReport`: how far what was served is from training, feature by feature, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DRIFTS, DIFFERS = 0.1, 0.25
"""Bounds on the population stability index, as they are commonly used."""
VERDICTS = ("differs", "drifts", "too few", "alike")
_MUCH = 0.05
_UNLIKELY = 1e-3
_ENOUGH_REQUESTS = 200
_HEAD = ("feature", "psi", "tv", "missing", "served", "unseen", "served", "p5/p50/p95", "served", "")


@dataclass(frozen=True, slots=True)
class FeatureSkew:
    """One feature; pairs are of training and of serving.

    Args:
        psi: population stability index: sum over buckets of (q - p) ln(q / p), less what chance alone makes of it.
        psi_noise: standard deviation that chance alone gives `psi`.
        total_variation: half the sum of |q - p|.
        missing: share of the rows without a value.
        out_of_vocabulary: share of the values that training has not kept; None: a number.
        shift: difference of these shares, the larger one, as far as chance does not explain it: else 0.
        quantiles: at 5, 50 and 95 %, as the model is given the numbers; None: ids.
    """

    name: str
    psi: float
    psi_noise: float
    total_variation: float
    missing: tuple[float, float]
    out_of_vocabulary: tuple[float, float] | None
    shift: float
    quantiles: tuple[tuple[float, ...], tuple[float, ...]] | None

    @classmethod
    def of(
        cls,
        name: str,
        training: np.ndarray,
        served: np.ndarray,
        *,
        rows: tuple[int, int],
        missing: tuple[float, float],
        out_of_vocabulary: tuple[float, float] | None,
        quantiles: tuple[tuple[float, ...], tuple[float, ...]] | None,
    ) -> FeatureSkew:
        """Of counts by bucket.

        Args:
            rows: independent ones. Of serving these are requests: candidates of one share the user.
        """
        used = (training + served) > 0
        p, q = (counts[used].astype(np.float64) for counts in (training, served))
        total_variation = 0.5 * float(np.abs(p / max(p.sum(), 1) - q / max(q.sum(), 1)).sum())
        spread = 1 / max(p.sum(), 1) + 1 / max(min(rows[1], q.sum()), 1)
        chance, noise = (len(p) - 1) * spread, math.sqrt(2 * max(len(p) - 1, 0)) * spread
        p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (p, q))
        psi = float(((q - p) * np.log(q / p)).sum()) - chance
        shift = _shift(missing, rows)
        if out_of_vocabulary is not None:
            shift = max(shift, _shift(out_of_vocabulary, (rows[0] * (1 - missing[0]), rows[1] * (1 - missing[1]))))
        return cls(name, max(psi, 0.0), noise, total_variation, missing, out_of_vocabulary, shift, quantiles)

    @property
    def verdict(self) -> str:
        """Of `VERDICTS`: by missing and unseen values where chance alone does not explain them, else by the PSI; "too
        few" where chance alone moves that as far as its bounds are.
        """
        few = 2 * self.psi_noise > DIFFERS
        if self.shift >= DIFFERS or self.psi >= DIFFERS + (2 * self.psi_noise if few else 0.0):
            return "differs"
        if self.shift > _MUCH or (self.psi >= DRIFTS and not few):
            return "drifts"
        return "too few" if few else "alike"

    @property
    def advice(self) -> str:
        """What to look at first; empty: nothing."""
        if self.verdict in ("too few", "alike"):
            return ""
        if self.missing[1] - self.missing[0] > _MUCH:
            return "it is missing more often: is it sent, is its key known to the store (clickwise_store_keys_total)?"
        if self.missing[0] - self.missing[1] > _MUCH:
            return "it is missing less often than in training: is it known there only later, or logged in part?"
        if self.out_of_vocabulary and self.out_of_vocabulary[1] - self.out_of_vocabulary[0] > _MUCH:
            return "training has not seen many of its values: are they written in another way? else train again"
        return "its values are others: compare how both sides compute it (unit, rounding, delay); else train again"


@dataclass(frozen=True, slots=True)
class SkewReport:
    """Args:
    features: the most different first.
    training_clicks: share of clicks in training; None: it has no labels.
    files_left_out: files of the log that are of versions with other features.
    """

    features: tuple[FeatureSkew, ...]
    served_rows: int
    requests: int
    training_rows: int
    served_probability: float
    training_probability: float
    training_clicks: float | None
    files: int
    files_left_out: int

    def to_data(self) -> dict[str, Any]:
        """JSON-ready."""
        found = asdict(self)
        found["features"] = [{**asdict(each), "verdict": each.verdict, "advice": each.advice} for each in self.features]
        return found

    def __str__(self) -> str:
        rows = [_row(each) for each in self.features]
        widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in pairs).rstrip()
            for pairs in (enumerate(zip(row, widths, strict=True)) for row in (_HEAD, *rows))
        ]
        clicks = "" if self.training_clicks is None else f", clicks there {self.training_clicks:.4f}"
        lines += [
            "",
            f"served: {self.served_rows:,} candidates of {self.requests:,} requests",
            f"training: {self.training_rows:,} rows",
            f"mean probability: served {self.served_probability:.4f}, training {self.training_probability:.4f}{clicks}",
        ]
        if self.files_left_out:
            lines.append(f"{self.files_left_out} files are of versions with other features, and were left out")
        return "\n".join([*lines, "", *self._what_to_do()])

    def _what_to_do(self) -> list[str]:
        told = [f"{each.name} {each.verdict}: {each.advice}" for each in self.features if each.advice]
        if self.requests < _ENOUGH_REQUESTS:
            told.append(f"there are fewer than {_ENOUGH_REQUESTS} requests: keep more before trusting this")
        if few := [each.name for each in self.features if each.verdict == "too few"]:
            told.append(f"too few requests to tell whether these are alike: {', '.join(few)}")
        return told or ["serving is like training; nothing to do"]


def _shift(shares: tuple[float, float], rows: tuple[float, float]) -> float:
    """How far two shares are apart; 0 where two samples of so many rows with one share behind them may well be.

    By Chernoff's bound on the probability of that, exp(-sum_i n_i KL(share_i || pooled share)), which holds for any n.
    """
    pooled = sum(share * n for share, n in zip(shares, rows, strict=True)) / max(sum(rows), 1)
    exponent = 0.0
    for share, n in zip(shares, rows, strict=True):
        for part, whole in ((share, pooled), (1 - share, 1 - pooled)):
            exponent += n * part * math.log(part / whole) if part > 0 and n > 0 else 0.0
    return abs(shares[1] - shares[0]) if math.exp(-exponent) < _UNLIKELY else 0.0


def _row(each: FeatureSkew) -> list[str]:
    unseen = [f"{share:.1%}" for share in each.out_of_vocabulary] if each.out_of_vocabulary else ["-", "-"]
    quantiles = [" ".join(f"{q:.3g}" for q in side) for side in each.quantiles] if each.quantiles else ["-", "-"]
    missing = [f"{share:.1%}" for share in each.missing]
    return [each.name, f"{each.psi:.3f}", f"{each.total_variation:.3f}", *missing, *unseen, *quantiles, each.verdict]
