"""What a cross of two fields would add to a trained model, measured on rows held out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from clickwise.features.combinations import fits, keys_of
from clickwise.features.cross import DEFAULT_MIN_COUNT, MAX_LENGTH
from clickwise.features.side_by_side import side_by_side
from clickwise.metrics import probability
from clickwise.metrics.logistic import row_log_loss
from clickwise.progress import Progress
from clickwise.schema import FIRST_TOKEN, PADDING_ROW, Field, InputSpec

_NEWTON_STEPS = 8


@dataclass(frozen=True, slots=True)
class CrossGain:
    """What the cross of two fields adds.

    Args:
        of: their names.
        combinations: how many would get a weight.
        covered: share of held-out rows that have one of them.
        gain: how much lower the mean log loss of held-out rows is with them.
        standard_error: of the gain, over the rows.
    """

    of: tuple[str, str]
    combinations: int
    covered: float
    gain: float
    standard_error: float

    @property
    def z(self) -> float:
        """The gain in standard errors; 0 where the cross changes nothing."""
        return self.gain / self.standard_error if self.standard_error > 0 else 0.0


class ScoredRows(NamedTuple):
    """Encoded rows with the logits of a model.

    Args:
        sparse: [n, S] int32 table rows.
        logit, label, weight: [n] float64.
    """

    sparse: np.ndarray
    logit: np.ndarray
    label: np.ndarray
    weight: np.ndarray


def cross_gains(
    train: ScoredRows, held_out: ScoredRows, inputs: InputSpec, known: Iterable[Sequence[str]], progress: Progress
) -> list[CrossGain]:
    """The gain of each pair of fields that is not `known` as a cross, the largest first.

    The model's logits stay as they are; each combination k of the pair that is seen often enough gets one weight w_k on
    top, fitted on the training rows. The weights are shrunk as much as the training rows say: w_k ~ N(0, tau^2), with
    tau^2 = sum_k (g_k^2 - v_k) / sum_k h_k^2 by the method of moments, where g_k is the sum of w (y - p) over the rows
    of k, v_k that of w^2 p (1 - p), its variance if w_k is zero, and h_k that of w p (1 - p), its slope.

    Reference: DerSimonian and Laird 1986, "Meta-analysis in clinical trials", for the estimate of tau^2.
    """
    taken = {frozenset(names) for names in known}
    places = list(zip(inputs.slots(), inputs.offsets(), strict=True))
    fields = [_Ids(field, slots, offset) for (field, slots), offset in places if not field.cross]
    pairs = [p for p in combinations(fields, 2) if frozenset((p[0].name, p[1].name)) not in taken]
    pairs = [p for p in pairs if fits([ids.size for ids in p])]
    progress.start("measure crosses", len(pairs) * len(train.label))

    def measure(pair: tuple[_Ids, _Ids]) -> CrossGain:
        gain = _gain(pair, train, held_out)
        progress.advance(len(train.label))
        return gain

    gains = side_by_side(measure, pairs, len(train.label))
    progress.finish()
    return sorted(gains, key=lambda g: -g.gain)


class _Ids:
    """The ids of a field in encoded rows."""

    def __init__(self, field: Field, slots: slice, offset: int) -> None:
        self.name, self.size = field.name, field.num_ids
        self._slots, self._offset = slots, offset

    def of(self, rows: ScoredRows) -> np.ndarray:
        """[n, length], -1 where a slot is empty."""
        sparse = rows.sparse[:, self._slots]
        return np.where(sparse == PADDING_ROW, -1, sparse - self._offset)


def _gain(pair: tuple[_Ids, _Ids], train: ScoredRows, held_out: ScoredRows) -> CrossGain:
    sizes = [ids.size for ids in pair]
    keys, new = (keys_of([ids.of(rows) for ids in pair], sizes, MAX_LENGTH) for rows in (train, held_out))
    distinct, counts = np.unique(keys[keys >= FIRST_TOKEN], return_counts=True)
    kept = distinct[counts >= DEFAULT_MIN_COUNT]
    names = (pair[0].name, pair[1].name)
    if not len(kept):
        return CrossGain(names, 0, 0.0, 0.0, 0.0)
    weights = np.append(_weights(_positions(kept, keys), len(kept), train), 0.0)
    at = _positions(kept, new)
    shift = weights[at].sum(1)
    saved = row_log_loss(held_out.logit, held_out.label) - row_log_loss(held_out.logit + shift, held_out.label)
    total = held_out.weight.sum()
    gain = float((held_out.weight * saved).sum() / total)
    error = math.sqrt(float((held_out.weight**2 * (saved - gain) ** 2).sum())) / float(total)
    return CrossGain(names, len(kept), float((at < len(kept)).any(1).mean()), gain, error)


def _positions(kept: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Where each key is in `kept`; its length where it is not."""
    at = np.minimum(np.searchsorted(kept, keys), len(kept) - 1)
    return np.where(kept[at] == keys, at, len(kept))


def _weights(at: np.ndarray, count: int, rows: ScoredRows) -> np.ndarray:
    """The weight of each combination [count], given which of them fill the slots of each row (`count`: none)."""
    slots = at.shape[1]
    flat = at.ravel()

    def per_combination(of_rows: np.ndarray) -> np.ndarray:
        return np.bincount(flat, np.repeat(of_rows, slots), count + 1)[:count]

    prob = probability(rows.logit)
    noise = prob * (1.0 - prob)
    slope = per_combination(rows.weight * noise)
    pull = per_combination(rows.weight * (rows.label - prob))
    excess = (pull**2 - per_combination(rows.weight**2 * noise)).sum()
    if excess <= 0.0:
        return np.zeros(count)  # no more spread than chance gives
    ridge = float((slope**2).sum() / excess)
    weights = np.zeros(count)
    for _ in range(_NEWTON_STEPS):
        prob = probability(rows.logit + np.append(weights, 0.0)[at].sum(1))
        pull = per_combination(rows.weight * (rows.label - prob)) - ridge * weights
        # slots of one row move its logit together: `slots` times the own slope bounds what they do
        weights += pull / (slots * per_combination(rows.weight * prob * (1.0 - prob)) + ridge)
    return weights
